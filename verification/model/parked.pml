/*
 * A model, for Spin, of the protocol by which calls park, are served and give up:
 * what queue.go, wait.go, batch.go, join.go, tasks.go and shutdown.go do. The
 * script check runs it.
 *
 * A critical section is one d_step, because mu guards all that it touches; the
 * model has no mutex. What happens outside of mu is a step of its own, and
 * between two such steps anybody may do anything: a signal is sent, a signal is
 * received, a context ends, a waiter is given back. An inline bears the name of
 * the function that it stands for.
 *
 * Processes call without end until closer ends it all, which it may at any
 * moment. So the histories that are checked have no greatest length. Their states
 * are finitely many because items are white, but for at most one, the red one,
 * which may be any. As the queue does not look at items, what holds for the red
 * one holds for each.
 *
 * Left out are the store of a LIFO or priority queue and compare's panics, calls
 * that neither wait nor change anything, the figures of Stats, contexts that are
 * done before the call, and that a queue keeps only so many waiters. TryPut and
 * TryGet are what Put and Get do before they park.
 */

#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef LARGEST
#define LARGEST CAPACITY /* the largest capacity that Resize gives */
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef JOINERS
#define JOINERS 1
#endif

#define CALLERS (PRODUCERS + CONSUMERS + JOINERS) /* those that park */
#define FORCER  (CALLERS + 1)

/*
 * The properties. Each is a name in the assertions that check it, for Spin to
 * print when they fail. Built with ONLY=name, the model checks no other: a name
 * that is true satisfies its assertions.
 */
#ifdef ONLY
#define SPARED 1
#else
#define SPARED 0
#endif
#define check(property, holds) assert((holds) || property)

/* The invariants of type Queue, whenever mu is not held */
hidden byte inv_getters    = SPARED /* nobody is parked for an item that is there, or after a shutdown */
hidden byte inv_putters    = SPARED /* nobody is parked for a slot that is free, or after a shutdown */
hidden byte inv_joiners    = SPARED /* nobody is parked in Join while no item is unfinished */
hidden byte inv_served     = SPARED /* whoever served a waiter wakes it: nobody else finds it */
hidden byte inv_unfinished = SPARED /* the count is that of the items that wait or are worked on */
hidden byte inv_len        = SPARED /* no item goes in where there is no slot */

/* What callers are promised */
hidden byte transfer   = SPARED /* no error: all items moved; an error: the rest did not */
hidden byte once       = SPARED /* an item goes in once, comes out once, and is not lost */
hidden byte first_come = SPARED /* first come, first served, and no newcomer overtakes the parked */
hidden byte at_zero    = SPARED /* Join returns nil exactly if the count is or comes to zero during the call */
hidden byte one_signal = SPARED /* a waiter gets one signal when it was served, and its next user none */
hidden byte quiescent  = SPARED /* when nobody can move, nobody is parked for what is there */
hidden byte released   = SPARED /* after a shutdown nobody stays parked: no assertion, but an invalid end state to Spin */

/*
 * Broken variants, to see that the properties find what they are there for. One
 * is chosen with BROKEN=name, and stands in the model where its name does.
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define broken(variant)             (BROKEN == variant)
#define only(variant, statements)   if :: broken(variant) -> statements :: else fi
#define unless(variant, statements) if :: broken(variant) :: else -> statements fi
#define SERVED_BUT_CANCELLED 1  /* awaitOrLeave returns ctx.Err though the call was served */
#define CANCELLED_STAYS      2  /* a cancelled call stays in its line and swallows what it is handed */
#define SIGNAL_LEFT          3  /* a cancelled call that was served leaves its signal behind */
#define SIGNAL_NOT_AWAITED   4  /* the same, unless the signal is there already */
#define NEXT_AFTER_SIGNAL    5  /* unlock reads next of a waiter that it has signalled, and that is its caller's again */
#define SERVES_ONE           6  /* of several calls served in a critical section, one is signalled */
#define PLAIN_UNLOCK         7  /* take does not signal the calls that it let in */
#define STORES_ALWAYS        8  /* add looks for no parked Get */
#define STORES_TOO           9  /* add hands the item over and stores it as well */
#define WAKES_FOR_A_SLOT     10 /* admit wakes a parked Put for it to try again, and the slot is free till then */
#define LAST_FIRST           11 /* admit lets in whoever parked last */
#define ADMITS_ONE           12 /* admit lets in one call even if there is room for more */
#define OVERFILLS            13 /* admit does not look whether there is room for one more */
#define LOSES_ITS_PLACE      14 /* PutBatch goes to the end of the line when a part of it is in */
#define RESIZE_ADMITS_NOBODY 15 /* Resize lets nobody in */
#define FORGETS_PUTS         16 /* Shutdown leaves parked Puts where they are */
#define FORGETS_GETS         17 /* Shutdown leaves parked Gets where they are */
#define ENDS_JOIN            18 /* Shutdown releases Join */
#define DRAINED_LOST         19 /* Shutdown does not return what it takes out */
#define DRAINED_UNFINISHED   20 /* Shutdown leaves the items that it takes out unfinished */
#define DRAINS_BELOW_ZERO    21 /* Shutdown takes items off the count that were marked done before */
#define DONE_BELOW_ZERO      22 /* TaskDone looks for no unfinished item */
#define NOBODY_JOINED        23 /* parked Joins stay when the count comes to zero */
#define LOOKS_AGAIN          24 /* Join parks again if there are unfinished items when it runs */
#define EVICTION_JOINS       25 /* ForcePut takes the old item off the count before the new one is on it */
#define EVICTED_UNFINISHED   26 /* ForcePut leaves the evicted item unfinished */

/* Items, and where the red one is */
#define NONE    0
#define WHITE   1
#define RED     2
#define ABSENT  0 /* nobody puts it, or its Put failed */
#define OFFERED 1 /* a call has it to put */
#define IN      2 /* it went in */
#define OUT     3 /* a call returned it */

/* What a call returned, or how far it is */
#define NIL       0
#define SHUTDOWN  1
#define CTX       2
#define PARKED    3
#define CANCELLED 4 /* its context ended, and it does not know yet whether it was served */
#define SERVED    5 /* its context ended, but not before it was served */
#define WORKING   6 /* Get returned an item, which is being worked on */
#define AGAIN     7 /* only in WAKES_FOR_A_SLOT */

/* type Queue. Of the lines it has the waiters, of buf the items. */
bool shutdown;
byte capacity = CAPACITY;
chan buf = [LARGEST] of { byte };
short unfinished;
chan putters = [CALLERS] of { byte };
chan getters = [CALLERS] of { byte };
chan joiners = [CALLERS] of { byte };
byte served, servedLast;

#define full (len(buf) >= capacity)

/* type waiter. 0 is nil. */
typedef Waiter {
	bool ready;
	byte next;
	byte item;
#ifdef BATCHES
	byte more; /* a put's second item */
	bool two;  /* whether a get has room for two */
#endif
	byte err;

	byte caller;   /* for the properties */
	bool signalled /* for the properties: a signal is on its way or there */
};
Waiter waiter[CALLERS + 1];

#ifdef POOL /* waiters are used again by any call; if not defined, each caller has its own */
byte spare, returned, made;
#endif

/* What the properties know and the queue does not */
typedef Call {
	byte moved; /* how many of its items went in or out */
	bool joins; /* whether it is a Join under way */
	bool zero   /* whether the count was zero during it */
};
Call call[CALLERS + 2];
chan puts = [CALLERS] of { byte }; /* the calls that wait, in the order in which they parked */
chan gets = [CALLERS] of { byte };
byte red;
byte held;  /* items that came out and were not yet marked done */
byte early; /* calls of TaskDone other than for items that came out */

bool cancelling = true; /* whether contexts end still */
bool putting = true, getting = true, others = true; /* whether Put, Get and other calls begin still */

#ifdef BATCHES
#define more(statements) statements
#else
#define more(statements)
#define y    NONE /* a call's second item */
#define size 1    /* how many items a call moves */
#endif

hidden byte n, c, g, p, s; /* of one critical section */

/* The call who may be given what it wants now: no other has waited longer. */
inline turn(calls, who) {
	if
	:: len(calls) > 0 -> calls ? <c>; check(first_come, c == who)
	:: else
	fi
}

/* The call who waits no longer. */
inline leave(calls, who) {
	if
	:: calls ?? [eval(who)] -> calls ?? eval(who)
	:: else
	fi
}

inline goesIn(who, x) {
	call[who].moved++;
	if
	:: x == RED -> check(once, red == OFFERED); red = IN
	:: else
	fi
}

inline comesOut(x) {
	if
	:: x == RED -> check(once, red == IN); red = OUT
	:: else
	fi
}

/* line.append(newWaiter()) */
inline newWaiter(l) {
#ifdef POOL
	w = spare;
	if
	:: w == 0 -> w = returned; returned = 0
	:: else
	fi;
	if
	:: w == 0 -> made++; w = made
	:: else -> spare = waiter[w].next; waiter[w].next = 0
	fi;
#else
	w = me;
#endif
	check(one_signal, !waiter[w].ready && !waiter[w].signalled);
	waiter[w].caller = me;
	l ! w
}

/* collect, but for giving the waiter back */
inline collect() {
	check(one_signal, !waiter[w].ready && !waiter[w].signalled);
	check(one_signal, !(putters ?? [eval(w)]) && !(getters ?? [eval(w)]) && !(joiners ?? [eval(w)]));
	waiter[w].item = NONE;
#ifdef BATCHES
	waiter[w].more = NONE;
	waiter[w].two = false;
#endif
	waiter[w].err = NIL;
	waiter[w].caller = 0;
#ifndef POOL
	w = 0
#endif
}

inline serve(l, v, why) {
	l ?? eval(v);
	waiter[v].err = why;
	waiter[v].signalled = true;
	if
	:: served == 0 || broken(SERVES_ONE) -> served = v
	:: else -> waiter[servedLast].next = v
	fi;
	servedLast = v
}

inline serveAll(l, why) {
	do
	:: len(l) > 0 -> l ? <s>; serve(l, s, why)
	:: else -> break
	od
}

/* mu.Unlock */
inline muUnlock() {
	check(inv_getters, len(getters) == 0 || len(buf) == 0 && !shutdown);
	check(inv_putters, len(putters) == 0 || full && !shutdown);
	check(inv_joiners, len(joiners) == 0 || unfinished > 0);
	check(inv_served, served == 0 && servedLast == 0);
	check(inv_unfinished, 0 <= unfinished && unfinished <= len(buf) + held);
	check(inv_unfinished, len(buf) + held - early <= unfinished)
}

/* The first half of unlock */
inline unlock() {
	mine = served;
	served = 0;
	servedLast = 0;
	muUnlock()
}

/*
 * A process is a loop over steps, each of which says when it can be taken. mine
 * is the waiter that it has to signal next, which comes before all else, w the
 * waiter with which it is parked, and e how far its call is.
 */
#define idle   (mine == 0 && w == 0 && e == NIL)
#define parked (mine == 0 && (e == PARKED || e == SERVED))

/* The second half of unlock, of one waiter. mu is not held any more. That next is
 * read in the same step leaves nothing out, as nobody else touches a waiter
 * between being served and being signalled: one_signal. */
inline wake() {
#if broken(NEXT_AFTER_SIGNAL)
	mine != 0 -> waiter[mine].ready = true;
	d_step {
		c = waiter[mine].next;
		waiter[mine].next = 0;
		mine = c
	}
#else
	d_step {
		mine != 0 ->
		c = waiter[mine].next;
		waiter[mine].next = 0;
		check(one_signal, !waiter[mine].ready); /* sending never blocks */
		waiter[mine].ready = true;
		mine = c
	}
#endif
}

/* <-w.ready, in await, Put and get, and in either place of awaitOrLeave */
inline receive(l) {
	parked && (waiter[w].ready || e == SERVED && (broken(SIGNAL_LEFT) || broken(SIGNAL_NOT_AWAITED))) ->
	if
	:: waiter[w].ready && !(e == SERVED && broken(SIGNAL_LEFT)) -> waiter[w].ready = false; waiter[w].signalled = false
	:: else
	fi;
	check(one_signal, !(l ?? [eval(w)]));
	e = waiter[w].err
}

/* A context ends, and awaitOrLeave leaves its select for mu. Until it has locked it, it
 * does nothing that another could see. So both are one step; APART makes them
 * two, as they are, and the states many more. */
#define cancelled (parked && e == PARKED && cancelling)
#ifdef APART
#define cancel :: cancelled -> e = CANCELLED
#define locked (mine == 0 && e == CANCELLED)
#else
#define cancel
#define locked cancelled
#endif

/* awaitOrLeave has locked mu again. */
inline unpark(l) {
	locked ->
	if
	:: l ?? [eval(w)] -> unless(CANCELLED_STAYS, l ?? eval(w)); e = CTX
	:: else -> e = (broken(SERVED_BUT_CANCELLED) -> CTX : SERVED)
	fi
}

#ifdef POOL
/* collect gives the waiter back without locking: Load, then CompareAndSwap until
 * it succeeds. */
#define giveBack \
	:: d_step { mine == 0 && w != 0 && !parked && e != CANCELLED && !loaded -> waiter[w].next = returned; loaded = true } \
	:: d_step { mine == 0 && w != 0 && !parked && e != CANCELLED && loaded -> \
		if \
		:: returned == waiter[w].next -> returned = w; w = 0 \
		:: else \
		fi; \
		loaded = false \
	   }
#else
#define giveBack
#endif

/* storeAll, of one item */
inline store(who, x) {
	check(inv_len, !full);
	goesIn(who, x);
	buf ! x;
	unfinished++
}

/* give an item to the Get that g is the waiter of: a part of add and handOver */
inline give(who, x) {
	turn(gets, waiter[g].caller);
	goesIn(who, x);
	call[waiter[g].caller].moved++;
	held++;
	unfinished++
}

inline add(x) {
	turn(puts, me);
	if
	:: len(getters) > 0 && !broken(STORES_ALWAYS) ->
		getters ? <g>;
		give(me, x);
		only(STORES_TOO, buf ! x);
		leave(gets, waiter[g].caller);
		waiter[g].item = x;
		serve(getters, g, NIL);
		unlock()
	:: else ->
		store(me, x);
		muUnlock()
	fi
}

inline admit() {
	do
	:: len(putters) > 0 && (!full || broken(OVERFILLS)) ->
		putters ? <p>;
		only(WAKES_FOR_A_SLOT, serve(putters, p, AGAIN); break);
		only(LAST_FIRST, if :: len(putters) > 1 -> putters ? p; putters ! p; putters ? <p> :: else fi);
		turn(puts, waiter[p].caller);
		store(waiter[p].caller, waiter[p].item);
#ifdef BATCHES
		waiter[p].item = waiter[p].more;
		waiter[p].more = NONE;
#else
		waiter[p].item = NONE;
#endif
		if
		:: waiter[p].item == NONE ->
			leave(puts, waiter[p].caller);
			serve(putters, p, NIL)
		:: else -> only(LOSES_ITS_PLACE, putters ? p; putters ! p)
		fi;
		only(ADMITS_ONE, break)
	:: else -> break
	od
}

inline take() {
	turn(gets, me);
	buf ? x;
	call[me].moved++;
	held++;
	admit();
	if
	:: served != 0 && !broken(PLAIN_UNLOCK) -> unlock()
	:: else -> muUnlock()
	fi
}

inline finish(k) {
	unfinished = unfinished - (k);
	if
	:: unfinished == 0 ->
		s = PRODUCERS + CONSUMERS + 1;
		do
		:: s <= CALLERS -> call[s].zero = call[s].joins; s++
		:: else -> break
		od;
		unless(NOBODY_JOINED, serveAll(joiners, NIL))
	:: else
	fi
}

/* Put and PutBatch return. x and y are the items that did not go in: items[n:]. */
inline putReturns() {
	if
	:: w != 0 -> x = waiter[w].item; more(y = waiter[w].more;) collect()
	:: else
	fi;
	check(transfer, (e == NIL) == (x == NONE));
	check(transfer, call[me].moved + (x != NONE) + (y != NONE) == size);
	if
	:: x == RED || y == RED -> check(once, red == OFFERED); red = ABSENT
	:: else
	fi;
	call[me].moved = 0;
	x = NONE;
	more(y = NONE; size = 1;)
	leave(puts, me);
	if
	:: e == CTX -> e = NIL
	:: else
	fi
}

inline put() {
	if
	:: shutdown -> e = SHUTDOWN; unlock(); putReturns()
	:: !shutdown && !full -> add(x); x = NONE; putReturns()
	:: !shutdown && full ->
		newWaiter(putters);
		puts ! me;
		waiter[w].item = x;
		x = NONE;
		e = PARKED;
		unlock()
	fi
}

#ifdef BATCHES
/* handOver. It has as much to spare for each batch as is left when each parked
 * Get has one. */
inline handOver() {
	n = (x != NONE) + (y != NONE);
	n = (n > len(getters) -> n - len(getters) : 0);
	do
	:: len(getters) > 0 && x != NONE ->
		turn(puts, me);
		getters ? <g>;
		give(me, x);
		waiter[g].item = x;
		x = y;
		y = NONE;
		if
		:: n > 0 && waiter[g].two && x != NONE ->
			give(me, x);
			waiter[g].more = x;
			x = NONE;
			n--
		:: else
		fi;
		leave(gets, waiter[g].caller);
		serve(getters, g, NIL)
	:: else -> break
	od
}

/* storeAll */
inline storeAll() {
	do
	:: x != NONE && !full -> turn(puts, me); store(me, x); x = y; y = NONE
	:: else -> break
	od
}

/* PutBatch, of two items */
inline putBatch() {
	size = 2;
	if
	:: shutdown -> e = SHUTDOWN; unlock(); putReturns()
	:: else ->
		handOver();
		storeAll();
		if
		:: x == NONE -> unlock(); putReturns()
		:: else ->
			newWaiter(putters);
			puts ! me;
			waiter[w].item = x;
			waiter[w].more = y;
			x = NONE;
			y = NONE;
			e = PARKED;
			unlock()
		fi
	fi
}
#endif

/* An item to put: a white one or, once in a history, the red one */
inline offer(item) {
	if
	:: item = WHITE
	:: red == ABSENT -> item = RED; red = OFFERED
	fi
}

/* Get and GetBatch return. x and y are what they return. */
inline getReturns() {
	if
	:: w != 0 -> x = waiter[w].item; more(y = waiter[w].more;) collect()
	:: else
	fi;
	check(transfer, (e == NIL) == (x != NONE));
	check(transfer, call[me].moved == (x != NONE) + (y != NONE));
	comesOut(x);
	more(comesOut(y);)
	more(size = call[me].moved;)
	call[me].moved = 0;
	x = NONE;
	more(y = NONE;)
	leave(gets, me);
	if
	:: e == NIL -> e = WORKING
	:: e == CTX -> e = NIL
	:: else
	fi
}

/* The second half of get */
inline getAwait() {
	if
	:: shutdown -> e = SHUTDOWN; unlock(); getReturns()
	:: else ->
		newWaiter(getters);
		gets ! me;
		e = PARKED;
		unlock()
	fi
}

inline get() {
	if
	:: len(buf) > 0 -> take(); e = NIL; getReturns()
	:: else -> getAwait()
	fi
}

#ifdef BATCHES
/* GetBatch, with room for two items */
inline getBatch() {
	if
	:: len(buf) > 0 ->
		turn(gets, me);
		buf ? x;
		n = 1;
		if
		:: len(buf) > 0 -> buf ? y; n = 2
		:: else
		fi;
		call[me].moved = n;
		held = held + n;
		admit();
		unlock();
		getReturns()
	:: else -> getAwait(); if :: e == PARKED -> waiter[w].two = true :: else fi
	fi
}
#endif

/* TaskDone for an item that came out, but for unlock */
inline taskDone() {
	held--;
	if
	:: unfinished > 0 -> finish(1)
	:: else -> early-- /* ErrTaskDone: somebody else has marked it done */
	fi
}

/* The second half of Join */
inline joinAwait() {
	newWaiter(joiners);
	check(at_zero, !call[me].zero);
	e = PARKED;
	unlock()
}

inline joinReturns() {
	if
	:: w != 0 -> collect()
	:: else
	fi;
	if
	:: e == NIL && unfinished > 0 && broken(LOOKS_AGAIN) -> joinAwait()
	:: else ->
		check(at_zero, e == CTX || e == NIL && call[me].zero);
		call[me].joins = false;
		call[me].zero = false;
		e = NIL
	fi
}

inline join() {
	call[me].joins = true;
	if
	:: unfinished == 0 -> call[me].zero = true; unlock(); joinReturns()
	:: else -> joinAwait()
	fi
}

inline shutDown(immediate) {
	if
	:: immediate ->
		n = 0;
		do
		:: len(buf) > 0 -> buf ? c; unless(DRAINED_LOST, comesOut(c)); n++
		:: else -> break
		od;
		if
		:: n > unfinished && !broken(DRAINS_BELOW_ZERO) -> n = unfinished
		:: else
		fi;
		unless(DRAINED_UNFINISHED, finish(n))
	:: else
	fi;
	shutdown = true;
	unless(FORGETS_PUTS, serveAll(putters, SHUTDOWN));
	unless(FORGETS_GETS, serveAll(getters, SHUTDOWN));
	only(ENDS_JOIN, serveAll(joiners, NIL));
	unlock()
}

inline resize(to) {
	capacity = to;
	unless(RESIZE_ADMITS_NOBODY, admit());
	unlock()
}

inline forcePut() {
	if
	:: shutdown -> e = SHUTDOWN; unlock()
	:: !shutdown && !full -> add(x); x = NONE
	:: !shutdown && full ->
		goesIn(me, x);
		buf ? c;
		comesOut(c);
		buf ! x;
		x = NONE;
		only(EVICTED_UNFINISHED, unfinished++);
		only(EVICTION_JOINS, if :: unfinished == 1 -> serveAll(joiners, NIL) :: else fi);
		unlock()
	fi;
	putReturns()
}

proctype producer(byte me) {
	byte w, mine, e, x;
#ifdef BATCHES
	byte y, size = 1;
#endif
#ifdef POOL
	bool loaded;
#endif
	do
	:: atomic { idle && putting -> offer(x); d_step { put() } }
#ifdef BATCHES
	:: atomic { idle && putting -> offer(x); offer(y); d_step { putBatch() } }
#endif
	:: wake()
#if broken(WAKES_FOR_A_SLOT)
	:: d_step { receive(putters); if :: e == AGAIN -> x = waiter[w].item; collect(); e = NIL; leave(puts, me); put() :: else -> putReturns() fi }
#else
	:: d_step { receive(putters); putReturns() }
#endif
	cancel
	:: d_step { unpark(putters); unlock(); if :: e == CTX -> putReturns() :: else fi }
	giveBack
	:: idle && !putting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}

proctype consumer(byte me) {
	byte w, mine, e, x;
#ifdef BATCHES
	byte y, size = 1;
#endif
#ifdef POOL
	bool loaded;
#endif
	do
	:: d_step { idle && getting -> get() }
	:: wake()
	:: d_step { receive(getters); getReturns() }
	cancel
	:: d_step { unpark(getters); unlock(); if :: e == CTX -> getReturns() :: else fi }
	giveBack
#ifdef BATCHES
	:: d_step { idle && getting -> getBatch() }
	:: d_step { mine == 0 && w == 0 && e == WORKING -> taskDone(); size--; e = (size > 0 -> WORKING : NIL); unlock() }
#else
	:: d_step { mine == 0 && w == 0 && e == WORKING -> taskDone(); e = NIL; unlock() }
#endif
#ifdef TASKS
	:: d_step { mine == 0 && w == 0 && e == WORKING -> taskDone(); get() } /* get, of a loop over Tasks */
#endif
	:: idle && !getting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}

#if JOINERS
proctype joiner(byte me) {
	byte w, mine, e;
#ifdef POOL
	bool loaded;
#endif
	do
	:: d_step { idle && others -> join() }
	:: wake()
	:: d_step { receive(joiners); joinReturns() }
	cancel
	:: d_step { unpark(joiners); unlock(); if :: e == CTX -> joinReturns() :: else fi }
	giveBack
	:: idle && !others -> break
	od
}
#endif

#ifdef FORCEPUT
proctype forcer(byte me) {
	byte w, mine, e, x;
#ifdef BATCHES
	byte y, size = 1;
#endif
	do
	:: atomic { idle && others -> offer(x); d_step { forcePut() } }
	:: wake()
	:: idle && !others -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}
#endif

#ifdef RESIZE
proctype resizer() {
	byte mine;
	do
	:: d_step { mine == 0 && others && capacity != 1 -> resize(1) }
	:: d_step { mine == 0 && others && capacity != LARGEST -> resize(LARGEST) }
	:: wake()
	:: mine == 0 && !others -> break
	od
}
#endif

#ifdef MISCOUNT
/* Marks items done that it never got. */
proctype miscounter() {
	byte mine;
	do
	:: d_step { mine == 0 && others && early < 2 && (unfinished > 0 || broken(DONE_BELOW_ZERO)) -> early++; finish(1); unlock() }
	:: wake()
	:: mine == 0 && !others -> break
	od
}
#endif

/*
 * Ends it all, at any moment. Either the queue is shut down at once, or no more
 * is put, or gotten, or neither, and the queue is shut down when nobody can move.
 * The shutdown is of either kind, and a second one is immediate. Contexts end no
 * more before it is asked who is left, so that whoever is parked must be released
 * by others.
 */
proctype closer() {
	byte mine;
	if
	:: putting = false
	:: getting = false
	:: d_step { putting = false; getting = false }
	:: goto shut
	fi;
	others = false;
	cancelling = false;
	timeout -> d_step {
		check(quiescent, len(getters) == 0 || len(buf) == 0);
		check(quiescent, len(putters) == 0 || full);
		check(quiescent, len(joiners) == 0 || unfinished > 0)
	};
shut:
	if
	:: d_step { shutDown(false) }
	:: d_step { shutDown(true) }
	fi;
	do
	:: wake()
	:: mine == 0 -> break
	od;
	others = false;
	cancelling = false;
	timeout -> d_step {
		check(quiescent, len(getters) == 0 && len(putters) == 0);
		check(quiescent, len(joiners) == 0 || unfinished > 0);
		shutDown(true)
	};
	do
	:: wake()
	:: mine == 0 -> break
	od;
	timeout -> check(once, red == ABSENT || red == OUT)
}

init {
	byte k = 1;
	atomic {
#ifdef ONLY
		ONLY = 0;
#endif
		do
		:: k <= PRODUCERS -> run producer(k); k++
		:: k > PRODUCERS && k <= PRODUCERS + CONSUMERS -> run consumer(k); k++
#if JOINERS
		:: k > PRODUCERS + CONSUMERS && k <= CALLERS -> run joiner(k); k++
#endif
		:: k > CALLERS -> break
		od;
#ifdef FORCEPUT
		run forcer(FORCER);
#endif
#ifdef RESIZE
		run resizer();
#endif
#ifdef MISCOUNT
		run miscounter();
#endif
		run closer()
	}
}
