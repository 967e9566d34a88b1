/*
 * A Spin model of how calls block, are completed and give up: of package
 * internal/park and of the calls that use it (queue.go, batch.go, tasks.go, join.go,
 * shutdown.go). The script check runs it.
 *
 * A critical section is one d_step, because the mutex guards all that it touches;
 * the model has no mutex. Outside of it, each of these is a step of its own, and
 * other processes may take any step in between: a signal is sent, a signal is
 * received, a context ends, a timer fires, a waiter is given back. An inline has
 * the name of the function that it models.
 *
 * Processes call without end until closer ends the run, which it may at any
 * moment. So there is no longest history. The states are finitely many because all
 * items are white, except at most one, the red one, which may be any item. The
 * queue does not look at items, so what holds for the red one holds for each. Time
 * is not modeled: a timer that is running may fire at any moment.
 *
 * Not modeled: the store of a LIFO or priority queue and compare's panics, calls
 * that neither block nor change anything, statistics, contexts that are done
 * before the call, and that a queue keeps only so many waiters. TryPut, TryGet,
 * TryPutBatch and TryGetBatch are what Put, Get, PutBatch and GetBatch do before
 * they block.
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

#ifndef COLLECTORS
#define COLLECTORS 0 /* loops over Batches */
#endif
#ifndef SIZE
#define SIZE 2 /* of their batches */
#endif
#ifndef IMPATIENT
#define IMPATIENT 0 /* the loop whose linger is 0 */
#endif
#ifndef SELECTORS
#define SELECTORS 0 /* loops of one receive from Ready and one TryGet */
#endif
#ifndef REQUEUES
#define REQUEUES 0 /* by how many items Requeue may exceed LARGEST */
#endif

#define CALLERS   (PRODUCERS + CONSUMERS + COLLECTORS + JOINERS) /* those that park */
#define COLLECTOR (PRODUCERS + CONSUMERS + 1) /* the first of each kind */
#define JOINER    (COLLECTOR + COLLECTORS)
#define FORCER    (CALLERS + 1)
#define SELECTOR  (CALLERS + 2)

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
hidden byte inv_getters    = SPARED /* no call is parked for an item that is available, or after a shutdown */
hidden byte inv_putters    = SPARED /* no call is parked for a slot that is free, or after a shutdown */
hidden byte inv_joiners    = SPARED /* no Join is parked while no item is unfinished */
hidden byte inv_served     = SPARED /* the call that served a waiter wakes it, because no other call finds it */
hidden byte inv_unfinished = SPARED /* the count is that of the items that are queued or in progress */
hidden byte inv_len        = SPARED /* no item is added without a free slot, except by Requeue */
hidden byte inv_ready      = SPARED /* each item that was queued, or left while others remained, has sent a signal to Ready's channel */

/* The guarantees for callers */
hidden byte transfer   = SPARED /* nil error: all items moved; non-nil error: the rest did not */
hidden byte once       = SPARED /* an item is added once, removed once, and not lost */
hidden byte first_come = SPARED /* first come, first served: no new call overtakes a parked one */
hidden byte at_zero    = SPARED /* Join returns nil if and only if the count is zero, or reaches zero, during the call */
hidden byte one_signal = SPARED /* a waiter gets one signal when it is served, and its next user none */
hidden byte head       = SPARED /* a loop that has begun a batch is given items before the calls behind it */
hidden byte in_hand    = SPARED /* a turn yields every item it received, 1 to SIZE items */
hidden byte linger     = SPARED /* a batch that waits for more has a timer, started with its first item and never restarted */
hidden byte unmoved    = SPARED /* no signal is sent when no item was queued or left */
hidden byte closing    = SPARED /* no signal is sent on the closed channel */
hidden byte requeued   = SPARED /* Requeue adds the item, and releases no Join, if the queue is live or, after a graceful shutdown, has unfinished items */
hidden byte quiescent  = SPARED /* when no process can move, no call is parked that could proceed */
hidden byte released   = SPARED /* after a shutdown no call stays parked: not an assertion, but an invalid end state to Spin */

/*
 * Broken variants, to see that the properties detect what they should. One is
 * chosen with BROKEN=name; its code is where its name appears in the model.
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
#define STORES_ALWAYS        8  /* add does not check for a parked Get */
#define STORES_TOO           9  /* add hands the item over and stores it as well */
#define WAKES_FOR_A_SLOT     10 /* admit wakes a parked Put for it to try again, and the slot is free till then */
#define LAST_FIRST           11 /* admit lets in the call that parked last */
#define ADMITS_ONE           12 /* admit lets in one call even if there is room for more */
#define OVERFILLS            13 /* admit does not check whether there is room for one more */
#define LOSES_ITS_PLACE      14 /* PutBatch goes to the end of the line when a part of it is in */
#define RESIZE_ADMITS_NOBODY 15 /* Resize lets no call in */
#define FORGETS_PUTS         16 /* Shutdown leaves parked Puts where they are */
#define FORGETS_GETS         17 /* Shutdown leaves parked Gets where they are */
#define ENDS_JOIN            18 /* Shutdown releases Join */
#define DRAINED_LOST         19 /* Shutdown does not return the items that it removes */
#define DRAINED_UNFINISHED   20 /* Shutdown leaves the items that it removes unfinished */
#define DRAINS_BELOW_ZERO    21 /* Shutdown takes items off the count that were marked done before */
#define DONE_BELOW_ZERO      22 /* TaskDone does not check for an unfinished item */
#define NOBODY_JOINED        23 /* parked Joins stay when the count reaches zero */
#define LOOKS_AGAIN          24 /* Join parks again if there are unfinished items when it runs */
#define EVICTION_JOINS       25 /* ForcePut takes the old item off the count before the new one is on it */
#define EVICTED_UNFINISHED   26 /* ForcePut leaves the evicted item unfinished */
#define PARKS_UNSEEN         27 /* a call that has asked for Done parks without checking again */
#define LINGER_RESTARTED     28 /* Add restarts the timer for each item */
#define LINGER_NOT_STARTED   29 /* Add starts no timer */
#define LINGER_NOT_ARMED     30 /* Arm starts no timer for the items that the turn has taken itself */
#define TIMER_NOT_STOPPED    31 /* the end of a turn leaves the timer running */
#define LINGERS_ON           32 /* a turn that begins after a shutdown waits for more */
#define CANCELLED_BATCH_LOST 33 /* a turn whose context ends yields nothing */
#define EXPIRED_BATCH_LOST   34 /* a turn that has lingered leaves its line and drops its batch */
#define SHUTDOWN_BATCH_LOST  35 /* a turn that a shutdown ends yields nothing */
#define TRICKLE_SPLIT        36 /* a loop that is given an item goes to the end of the line */
#define TRICKLE_ROTATED      37 /* the giver looks for a loop that has no item yet */
#define BATCH_OVERFILLED     38 /* handOver does not check how many items a batch has room for */
#define FULL_BATCH_WAITS     39 /* a batch that is complete keeps waiting */
#define TAKES_ONCE           40 /* a turn does not take the items that its freed slots let in */
#define MARKS_ONE            41 /* a turn marks one item of the last batch done */
#define SIGNAL_NOT_SENT      42 /* addUnlock does not signal Ready */
#define SIGNAL_NOT_REPEATED  43 /* takeUnlock does not signal Ready */
#define SIGNAL_TOO_EARLY     44 /* takeUnlock signals Ready before it lets blocked Puts in */
#define SIGNAL_NOT_RESIZED   45 /* Resize lets blocked Puts in and does not signal Ready */
#define SIGNAL_NOT_COLLECTED 46 /* a turn leaves items and does not signal Ready */
#define SIGNAL_NOT_PENDING   47 /* the first call of Ready does not check for items */
#define SIGNAL_AFTER_CLOSE   48 /* signal does not check whether the channel is closed */
#define NEVER_CLOSED         49 /* Shutdown does not close Ready's channel */
#define SIGNAL_UNMOVED       50 /* Resize signals Ready even if it lets no call in */
#define ZERO_MISSED          51 /* Join does not notice a zero that came and went as it asked its context */
#define REQUEUE_BOUNDED      52 /* Requeue refuses an item when the queue is full */
#define REQUEUE_UNCOUNTED    53 /* a requeued item does not count as unfinished */
#define REQUEUE_MARKS_DONE   54 /* Requeue marks the item in hand done before it adds the new one */
#define REQUEUE_REFUSED      55 /* Requeue refuses after any shutdown */
#define REQUEUE_TAKEN_LATE   56 /* Requeue adds the item after a graceful shutdown though no item is unfinished */
#define REQUEUE_AFTER_DRAIN  57 /* Requeue adds the item after an immediate shutdown */
#define FULL_IS_EQUAL        58 /* full is len == capacity, which a requeue goes beyond */

/* Items, and where the red one is */
#define NONE    0
#define WHITE   1
#define RED     2
#define ABSENT  0 /* no call puts it, or its Put failed */
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
#define EXPIRED   8 /* a timer has fired; later: the batch has lingered */
#define ASKED     9 /* it has asked for Done, or received a signal from Ready, and does not have the lock */

/* type Queue. Of the lines it has the waiters, of buf the items. */
bool shutdown;
byte capacity = CAPACITY;
chan buf = [LARGEST + REQUEUES] of { byte };
short unfinished;
chan putters = [CALLERS] of { byte };
chan getters = [CALLERS] of { byte };
chan joiners = [CALLERS] of { byte };
byte served, servedLast;
#if REQUEUES
bool refusing;
#endif

#define room (len(buf) < capacity)
#define full (broken(FULL_IS_EQUAL) && len(buf) == capacity || !broken(FULL_IS_EQUAL) && !room)

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

#if COLLECTORS
/* type Batch, of each loop */
typedef Batch {
	byte n;     /* how many items */
	bool red;   /* whether the red one is among them */
	bool timer; /* whether it runs, or has fired and was not received from */
	bool aged   /* for the properties: items are in hand since an earlier critical section */
};
Batch batch[COLLECTORS];
#define batchOf(who) batch[(who) - COLLECTOR]
#define loops(who)   ((who) >= COLLECTOR && (who) < COLLECTOR + COLLECTORS)
#define lingers(who) ((who) != IMPATIENT)
#define Room(who)    (SIZE - batchOf(who).n)
#define Complete(who) (batchOf(who).n == SIZE || !lingers(who))
#define begun(who)   (loops(who) && batchOf(who).n > 0)
#else
#define loops(who) false
#define begun(who) false
#endif

#if SELECTORS
/* type Signal */
bool used, closed, sent;
bool received; /* for the properties: a signal was, since an item last was queued or left */
#define moved() received = false
#define signal() \
	if \
	:: len(buf) > 0 && used && (!closed || broken(SIGNAL_AFTER_CLOSE)) -> \
		check(closing, !closed); \
		check(unmoved, sent || !received); \
		sent = true \
	:: else \
	fi
#else
#define moved()
#define signal()
#endif

/* What the properties know and the queue does not */
typedef Call {
	byte moved; /* how many of its items went in or out */
	bool joins; /* whether it is a Join under way */
	bool zero   /* whether the count was zero during it */
};
Call call[CALLERS + SELECTORS + 2];
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
inline isNext(calls, who) {
	if
	:: len(calls) > 0 -> calls ? <c>; check(first_come, c == who || begun(c)); check(head, c == who || !begun(c))
	:: else
	fi
}

/* The call who is no longer blocked. */
inline gone(calls, who) {
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

inline Park(l) {
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

/* Collect, and the end of WaitBatch, without giving the waiter back */
inline Collect() {
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

inline Serve(l, v, why) {
	l ?? eval(v);
	waiter[v].err = why;
	waiter[v].signalled = true;
	if
	:: served == 0 || broken(SERVES_ONE) -> served = v
	:: else -> waiter[servedLast].next = v
	fi;
	servedLast = v
}

inline ServeAll(l, why) {
	do
	:: len(l) > 0 -> l ? <s>; Serve(l, s, why)
	:: else -> break
	od
}

/* Mu.Unlock */
inline unlock() {
	check(inv_getters, len(getters) == 0 || len(buf) == 0 && !shutdown);
	check(inv_putters, len(putters) == 0 || !room && !shutdown);
	check(inv_joiners, len(joiners) == 0 || unfinished > 0);
	check(inv_served, served == 0 && servedLast == 0);
	check(inv_unfinished, 0 <= unfinished && unfinished <= len(buf) + held);
	check(inv_unfinished, len(buf) + held - early <= unfinished);
#if COLLECTORS
	collecting(COLLECTOR);
#endif
#if COLLECTORS > 1
	collecting(COLLECTOR + 1);
#endif
#if SELECTORS
	check(inv_ready, !used || shutdown || len(buf) == 0 || sent || received)
#endif
}

#if COLLECTORS
/* A loop in line with items in hand has room for more, and a timer that runs. */
inline collecting(who) {
	if
	:: begun(who) && gets ?? [eval(who)] ->
		check(inv_getters, !Complete(who));
		check(linger, batchOf(who).timer);
		batchOf(who).aged = true
	:: else
	fi
}
#endif

/* The first half of Lot.Unlock */
inline Unlock() {
	mine = served;
	served = 0;
	servedLast = 0;
	unlock()
}

/*
 * A process is a loop over steps, each of which says when it can be taken. mine
 * is the waiter that it has to signal next, which comes before all else, w the
 * waiter with which it is parked, and e how far its call is.
 */
#define idle   (mine == 0 && w == 0 && e == NIL)
#define parked (mine == 0 && (e == PARKED || e == SERVED))

/* The second half of Lot.Unlock, of one waiter. Mu is not held any more. That next is
 * read in the same step leaves nothing out, because no other call touches a waiter
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

/* <-w.ready, in Wait, WaitOr, WaitBatch and leave */
inline receive(l) {
	parked && (waiter[w].ready || e == SERVED && (broken(SIGNAL_LEFT) || broken(SIGNAL_NOT_AWAITED))) ->
	if
	:: waiter[w].ready && !(e == SERVED && broken(SIGNAL_LEFT)) -> waiter[w].ready = false; waiter[w].signalled = false
	:: else
	fi;
	check(one_signal, !(l ?? [eval(w)]));
	e = waiter[w].err
}

/* A context ends or a timer fires, and WaitOr or WaitBatch goes from its select to
 * leave, which locks Mu. Until it has locked it, it does nothing that another could
 * see. So both are one step; APART makes them two, as they are, and the states
 * many more. */
#define cancelled (parked && e == PARKED && cancelling)
#ifdef APART
#define cancel :: cancelled -> e = CANCELLED
#define expire :: fired -> e = EXPIRED
#define locked (mine == 0 && e == CANCELLED)
#define late   (mine == 0 && w != 0 && e == EXPIRED)
#else
#define cancel
#define expire
#define locked cancelled
#define late   fired
#endif
#define fired (parked && e == PARKED && batchOf(me).timer)

/* leave has locked Mu. */
inline leave(l, cause, why) {
	cause ->
	if
	:: l ?? [eval(w)] -> unless(CANCELLED_STAYS, l ?? eval(w)); e = why
	:: else -> e = (broken(SERVED_BUT_CANCELLED) -> CTX : SERVED)
	fi
}

#ifdef POOL
/* giveBack does so without locking: Load, then CompareAndSwap until
 * it succeeds. */
#define giveBack \
	:: d_step { mine == 0 && w != 0 && !parked && e != CANCELLED && e != EXPIRED && !loaded -> waiter[w].next = returned; loaded = true } \
	:: d_step { mine == 0 && w != 0 && !parked && e != CANCELLED && e != EXPIRED && loaded -> \
		if \
		:: returned == waiter[w].next -> returned = w; w = 0 \
		:: else \
		fi; \
		loaded = false \
	   }
#else
#define giveBack
#endif

/* queue an item */
inline store(who, x) {
	goesIn(who, x);
	buf ! x;
	moved();
	unfinished++
}

/* give an item to the Get that g is the waiter of: a part of addUnlock and handOver */
inline give(who, x) {
	isNext(gets, waiter[g].caller);
	goesIn(who, x);
	call[waiter[g].caller].moved++;
	held++;
	unfinished++
}

#if COLLECTORS
/* timer.Reset */
inline Reset(who) {
	check(linger, !batchOf(who).aged);
	batchOf(who).timer = true
}

/* Batch.Add, of one item. The timer is there if the batch may linger. */
inline Add(who, x) {
	check(in_hand, Room(who) > 0);
	if
	:: lingers(who) && (batchOf(who).n == 0 && !broken(LINGER_NOT_STARTED) || broken(LINGER_RESTARTED)) -> Reset(who)
	:: else
	fi;
	batchOf(who).n++;
	if
	:: x == RED -> batchOf(who).red = true
	:: else
	fi
}
#endif

/* The waiter at the head of the line */
inline longestBlocked() {
	getters ? <g>;
#if COLLECTORS
	only(TRICKLE_ROTATED, if :: len(getters) > 1 && begun(waiter[g].caller) -> getters ? g; getters ! g; getters ? <g> :: else fi)
#endif
}

inline addUnlock(x) {
	if
	:: len(getters) > 0 && !broken(STORES_ALWAYS) ->
		longestBlocked();
		give(me, x);
		only(STORES_TOO, buf ! x);
#if COLLECTORS
		if
		:: loops(waiter[g].caller) ->
			Add(waiter[g].caller, x);
			only(TRICKLE_SPLIT, getters ?? eval(g); getters ! g)
		:: else -> waiter[g].item = x
		fi;
		if
		:: loops(waiter[g].caller) && (!Complete(waiter[g].caller) || broken(FULL_BATCH_WAITS)) -> unlock()
		:: else -> gone(gets, waiter[g].caller); Serve(getters, g, NIL); Unlock()
		fi
#else
		waiter[g].item = x;
		gone(gets, waiter[g].caller);
		Serve(getters, g, NIL); /* Pop; Signal wakes it */
		Unlock()
#endif
	:: else ->
		store(me, x);
		unless(SIGNAL_NOT_SENT, signal());
		unlock()
	fi
}

inline admit() {
	do
	:: len(putters) > 0 && (!full || broken(OVERFILLS)) ->
		putters ? <p>;
		only(WAKES_FOR_A_SLOT, Serve(putters, p, AGAIN); break);
		only(LAST_FIRST, if :: len(putters) > 1 -> putters ? p; putters ! p; putters ? <p> :: else fi);
		isNext(puts, waiter[p].caller);
		check(inv_len, room);
		store(waiter[p].caller, waiter[p].item);
#ifdef BATCHES
		waiter[p].item = waiter[p].more;
		waiter[p].more = NONE;
#else
		waiter[p].item = NONE;
#endif
		if
		:: waiter[p].item == NONE ->
			gone(puts, waiter[p].caller);
			Serve(putters, p, NIL)
		:: else -> only(LOSES_ITS_PLACE, putters ? p; putters ! p)
		fi;
		only(ADMITS_ONE, break)
	:: else -> break
	od
}

inline takeUnlock() {
	isNext(gets, me);
	buf ? x;
	moved();
	call[me].moved++;
	held++;
	only(SIGNAL_TOO_EARLY, signal());
	admit();
	if
	:: broken(SIGNAL_NOT_REPEATED) || broken(SIGNAL_TOO_EARLY)
	:: else -> signal()
	fi;
	if
	:: served != 0 && !broken(PLAIN_UNLOCK) -> Unlock()
	:: else -> unlock()
	fi
}

inline finish(k) {
	unfinished = unfinished - (k);
	if
	:: unfinished == 0 ->
		s = JOINER;
		do
		:: s <= CALLERS -> call[s].zero = call[s].joins; s++
		:: else -> break
		od;
		unless(NOBODY_JOINED, ServeAll(joiners, NIL))
	:: else
	fi
}

/* Put and PutBatch return. x and y are the items that did not go in: items[n:]. */
inline putReturns() {
	if
	:: w != 0 -> x = waiter[w].item; more(y = waiter[w].more;) Collect()
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
	gone(puts, me);
	if
	:: e == CTX -> e = NIL
	:: else
	fi
}

inline Put() {
	if
	:: shutdown -> e = SHUTDOWN; unlock(); putReturns()
	:: !shutdown && !full && !(broken(PARKS_UNSEEN) && e == ASKED) ->
		isNext(puts, me);
		check(inv_len, room || len(getters) > 0);
		addUnlock(x);
		x = NONE;
		e = NIL;
		putReturns()
	:: else ->
		Park(putters);
		puts ! me;
		waiter[w].item = x;
		x = NONE;
		e = PARKED;
		unlock()
	fi
}

#ifdef BATCHES
/* handOver. What is left when each blocked Get has one item and each batch all
 * that it has room for goes to the GetBatches. */
inline handOver() {
	n = (x != NONE) + (y != NONE);
	s = len(getters);
	do
	:: s > 0 ->
		getters ? g;
		getters ! g;
#if COLLECTORS
		c = (loops(waiter[g].caller) -> Room(waiter[g].caller) : 1);
#else
		c = 1;
#endif
		n = (n > c -> n - c : 0);
		s--
	:: else -> break
	od;
	do
	:: len(getters) > 0 && x != NONE ->
		isNext(puts, me);
		longestBlocked();
		give(me, x);
#if COLLECTORS
		if
		:: loops(waiter[g].caller) ->
			Add(waiter[g].caller, x);
			x = y;
			y = NONE;
			if
			:: x != NONE && (Room(waiter[g].caller) > 0 || broken(BATCH_OVERFILLED)) ->
				give(me, x);
				Add(waiter[g].caller, x);
				x = NONE
			:: else
			fi;
			if
			:: !Complete(waiter[g].caller) -> break
			:: else
			fi
		:: else ->
			single()
		fi;
#else
		single();
#endif
		gone(gets, waiter[g].caller);
		Serve(getters, g, NIL)
	:: else -> break
	od
}

/* of handOver, a Get or GetBatch */
inline single() {
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
	fi
}

inline storeAll() {
	do
	:: x != NONE && !full -> isNext(puts, me); check(inv_len, room); store(me, x); x = y; y = NONE
	:: else -> break
	od
}

inline addAll() {
	handOver();
	n = len(buf);
	storeAll();
	if
	:: len(buf) > n -> signal()
	:: else
	fi
}

/* PutBatch, of two items */
inline PutBatch() {
	size = 2;
	if
	:: shutdown -> e = SHUTDOWN; unlock(); putReturns()
	:: else ->
		addAll();
		if
		:: x == NONE -> e = NIL; Unlock(); putReturns()
		:: else ->
			Park(putters);
			puts ! me;
			waiter[w].item = x;
			waiter[w].more = y;
			x = NONE;
			y = NONE;
			e = PARKED;
			Unlock()
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
	:: w != 0 -> x = waiter[w].item; more(y = waiter[w].more;) Collect()
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
	gone(gets, me);
	if
	:: e == NIL -> e = WORKING
	:: e == CTX -> e = NIL
	:: else
	fi
}

/* The second half of Get, GetBatch and next */
inline getParks() {
	if
	:: shutdown -> e = SHUTDOWN; Unlock(); getReturns()
	:: else ->
		Park(getters);
		gets ! me;
		e = PARKED;
		Unlock()
	fi
}

inline Get() {
	if
	:: len(buf) > 0 && !(broken(PARKS_UNSEEN) && e == ASKED) -> takeUnlock(); e = NIL; getReturns()
	:: else -> getParks()
	fi
}

#ifdef BATCHES
inline takeAllUnlock() {
	isNext(gets, me);
	buf ? x;
	n = 1;
	if
	:: len(buf) > 0 -> buf ? y; n = 2
	:: else
	fi;
	moved();
	call[me].moved = n;
	held = held + n;
	admit();
	signal();
	Unlock()
}

/* GetBatch, with room for two items */
inline GetBatch() {
	if
	:: len(buf) > 0 ->
		takeAllUnlock();
		e = NIL;
		getReturns()
	:: else -> getParks(); if :: e == PARKED -> waiter[w].two = true :: else fi
	fi
}
#endif

/* TaskDone for an item that came out, but for Unlock */
inline TaskDone() {
	held--;
	if
	:: unfinished > 0 -> finish(1)
	:: else -> early-- /* ErrTaskDone: another call has marked it done */
	fi
}

#if COLLECTORS
inline markBatch() {
	n = batchOf(me).n;
	if
	:: n > unfinished -> n = unfinished
	:: else
	fi;
	only(MARKS_ONE, if :: n > 1 -> n = 1 :: else fi);
	held = held - batchOf(me).n;
	early = early - (batchOf(me).n - n); /* the rest was marked done before */
	batchOf(me).n = 0;
	if
	:: n > 0 -> finish(n)
	:: else
	fi
}

inline collect() {
	do
	:: len(buf) > 0 && Room(me) > 0 ->
		do
		:: len(buf) > 0 && Room(me) > 0 ->
			isNext(gets, me);
			buf ? x;
			moved();
			call[me].moved++;
			held++;
			batchOf(me).n++;
			if
			:: x == RED -> batchOf(me).red = true
			:: else
			fi;
			x = NONE
		:: else -> break
		od;
		admit();
		only(TAKES_ONCE, break)
	:: else -> break
	od;
	unless(SIGNAL_NOT_COLLECTED, signal())
}

/* A turn ends: the batch is yielded, if it has items. */
inline yields() {
	if
	:: w != 0 ->
		only(CANCELLED_BATCH_LOST, if :: e == CTX -> batchOf(me).n = 0 :: else fi);
		only(EXPIRED_BATCH_LOST, if :: e == EXPIRED -> batchOf(me).n = 0 :: else fi);
		only(SHUTDOWN_BATCH_LOST, if :: e == SHUTDOWN -> batchOf(me).n = 0 :: else fi);
		Collect();
		unless(TIMER_NOT_STOPPED, batchOf(me).timer = false)
	:: else
	fi;
	gone(gets, me);
	check(in_hand, batchOf(me).n == call[me].moved && batchOf(me).n <= SIZE);
	check(in_hand, batchOf(me).n > 0 || e == CTX || e == SHUTDOWN);
	if
	:: batchOf(me).red -> comesOut(RED)
	:: else
	fi;
	batchOf(me).red = false;
	batchOf(me).aged = false;
	call[me].moved = 0;
	if
	:: batchOf(me).n > 0 -> e = WORKING
	:: else -> e = (e == SHUTDOWN -> SHUTDOWN : NIL)
	fi
}

/* turn, but for what follows WaitBatch, which yields does */
inline turn() {
	markBatch();
	collect();
	if
	:: batchOf(me).n > 0 && (Complete(me) || shutdown && !broken(LINGERS_ON)) -> e = NIL; Unlock(); yields()
	:: batchOf(me).n == 0 && shutdown -> e = SHUTDOWN; Unlock(); yields()
	:: else ->
		if /* Arm */
		:: batchOf(me).n > 0 && !broken(LINGER_NOT_ARMED) -> Reset(me)
		:: else
		fi;
		Park(getters);
		gets ! me;
		e = PARKED;
		Unlock()
	fi
}
#endif

/* The second half of Join */
inline joinParks() {
	Park(joiners);
	check(at_zero, !call[me].zero);
	e = PARKED;
	Unlock()
}

inline joinReturns() {
	if
	:: w != 0 -> Collect()
	:: else
	fi;
	if
	:: e == NIL && unfinished > 0 && broken(LOOKS_AGAIN) -> joinParks()
	:: else ->
		check(at_zero, e == CTX || e == NIL && call[me].zero);
		call[me].joins = false;
		call[me].zero = false;
		e = NIL
	fi
}

inline Join() {
	if /* zero: zeros has changed since the first look */
	:: (unfinished == 0 || call[me].zero && !broken(ZERO_MISSED)) && !(broken(PARKS_UNSEEN) && e == ASKED) -> call[me].zero = true; e = NIL; unlock(); joinReturns()
	:: else -> joinParks()
	fi
}

inline Shutdown(immediate) {
	if
	:: immediate ->
		n = 0;
		do
		:: len(buf) > 0 -> buf ? c; moved(); unless(DRAINED_LOST, comesOut(c)); n++
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
#if REQUEUES
	refusing = refusing || immediate;
#endif
#if SELECTORS
	unless(NEVER_CLOSED, closed = true);
#endif
	unless(FORGETS_PUTS, ServeAll(putters, SHUTDOWN));
	unless(FORGETS_GETS, ServeAll(getters, SHUTDOWN));
	only(ENDS_JOIN, ServeAll(joiners, NIL));
#if REQUEUES
	do /* released, none of them waits for what Requeue may add */
	:: len(gets) > 0 && len(getters) == 0 -> gets ? c
	:: else -> break
	od;
#endif
	Unlock()
}

inline Resize(to) {
	capacity = to;
	n = len(buf);
	unless(RESIZE_ADMITS_NOBODY, admit());
	if
	:: len(buf) > n && !broken(SIGNAL_NOT_RESIZED) || broken(SIGNAL_UNMOVED) -> signal()
	:: else
	fi;
	Unlock()
}

inline ForcePut() {
	if
	:: shutdown -> e = SHUTDOWN; Unlock()
	:: !shutdown && !full -> check(inv_len, room); addUnlock(x); x = NONE
	:: else ->
		goesIn(me, x);
		buf ? c;
		comesOut(c);
		buf ! x;
		x = NONE;
		only(EVICTED_UNFINISHED, unfinished++);
		only(EVICTION_JOINS, if :: unfinished == 1 -> ServeAll(joiners, NIL) :: else fi);
		Unlock()
	fi;
	putReturns()
}

#if REQUEUES
/* Requeue, of another item than that in hand, which is white by now */
inline Requeue() {
	n = !shutdown || unfinished > 0 && !refusing; /* what it ought to do, and does */
	s = n;
	only(REQUEUE_BOUNDED, if :: full && len(getters) == 0 -> s = 0 :: else fi);
	only(REQUEUE_REFUSED, if :: shutdown -> s = 0 :: else fi);
	only(REQUEUE_TAKEN_LATE, if :: !refusing -> s = 1 :: else fi);
	only(REQUEUE_AFTER_DRAIN, if :: unfinished > 0 -> s = 1 :: else fi);
	check(requeued, n == s);
	if
	:: s ->
		only(REQUEUE_MARKS_DONE, finish(1); unfinished++);
		check(requeued, served == 0);
		addUnlock(x);
		only(REQUEUE_UNCOUNTED, unfinished--; unlock())
	:: else ->
		if
		:: x == RED -> red = ABSENT
		:: else
		fi;
		unlock()
	fi;
	call[me].moved = 0;
	x = NONE
}
#define requeues (mine == 0 && w == 0 && (len(buf) < LARGEST + REQUEUES || len(getters) > 0 || shutdown && (refusing || unfinished == 0)))
#endif

#if SELECTORS
/* The first call of Ready */
inline Ready() {
	used = true;
	received = false;
	if
	:: !closed && len(buf) > 0 && !broken(SIGNAL_NOT_PENDING) -> sent = true
	:: else
	fi;
	unlock()
}

inline TryGet() {
	if
	:: len(buf) > 0 -> takeUnlock(); comesOut(x); x = NONE; call[me].moved = 0; e = WORKING
	:: else -> e = (shutdown -> SHUTDOWN : NIL); unlock()
	fi
}
#endif

/* A call that has to block unlocks, asks for Done, locks and looks again. What it does
 * in between, no other can see. With ASKS these are two steps; else one. */
#ifdef ASKS
#define unlessAsks(blocks, statements) if :: blocks -> e = ASKED :: else -> statements fi
#define asked(statements) :: d_step { mine == 0 && w == 0 && e == ASKED -> statements }
#else
#define unlessAsks(blocks, statements) statements
#define asked(statements)
#endif

proctype producer(byte me) {
	byte w, mine, e, x;
#ifdef BATCHES
	byte y, size = 1;
#endif
#ifdef POOL
	bool loaded;
#endif
	do
	:: atomic { idle && putting -> offer(x); d_step { unlessAsks(full, Put()) } }
	asked(Put())
#ifdef BATCHES
	:: atomic { idle && putting -> offer(x); offer(y); d_step { PutBatch() } }
#endif
	:: wake()
#if broken(WAKES_FOR_A_SLOT)
	:: d_step { receive(putters); if :: e == AGAIN -> x = waiter[w].item; Collect(); e = NIL; gone(puts, me); Put() :: else -> putReturns() fi }
#else
	:: d_step { receive(putters); putReturns() }
#endif
	cancel
	:: d_step { leave(putters, locked, CTX); Unlock(); if :: e == CTX -> putReturns() :: else fi }
	giveBack
	:: idle && !putting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}

#if CONSUMERS
proctype consumer(byte me) {
	byte w, mine, e, x;
#ifdef BATCHES
	byte y, size = 1;
#endif
#ifdef POOL
	bool loaded;
#endif
	do
	:: d_step { idle && getting -> unlessAsks(len(buf) == 0, Get()) }
	asked(Get())
	:: wake()
	:: d_step { receive(getters); getReturns() }
	cancel
	:: d_step { leave(getters, locked, CTX); Unlock(); if :: e == CTX -> getReturns() :: else fi }
	giveBack
#ifdef BATCHES
	:: d_step { idle && getting -> GetBatch() }
	:: d_step { mine == 0 && w == 0 && e == WORKING -> TaskDone(); size--; e = (size > 0 -> WORKING : NIL); Unlock() }
#else
	:: d_step { mine == 0 && w == 0 && e == WORKING -> TaskDone(); e = NIL; Unlock() }
#endif
#ifdef TASKS
	:: d_step { mine == 0 && w == 0 && e == WORKING -> TaskDone(); Get() } /* get, of a loop over Tasks */
#endif
#if REQUEUES
	:: atomic { requeues && e == WORKING -> offer(x); d_step { Requeue() } }
	:: atomic { requeues && e == NIL && putting -> offer(x); d_step { Requeue() } } /* of an item that another holds */
#endif
	:: idle && !getting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}
#endif

#if COLLECTORS
/* Ranges over Batches, again and again. */
proctype collector(byte me) {
	byte w, mine, e, x;
#ifdef POOL
	bool loaded;
#endif
	do
	:: d_step { idle && getting -> turn() }
	:: d_step { mine == 0 && w == 0 && e == WORKING -> turn() }
	:: d_step { mine == 0 && w == 0 && e == WORKING -> markBatch(); e = NIL; Unlock() } /* a break */
	:: wake()
	:: d_step { receive(getters); yields() }
	cancel
	:: d_step { leave(getters, locked, CTX); unlock(); if :: e == CTX -> yields() :: else fi }
#if COLLECTORS > 1 || IMPATIENT == 0
	expire
	:: d_step {
		leave(getters, late, EXPIRED);
		check(linger, e == SERVED || batchOf(me).n > 0);
		unlock();
		if
		:: e == EXPIRED -> yields()
		:: else
		fi
	   }
#endif
	giveBack
	:: idle && !getting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}
#endif

#if SELECTORS
proctype selector(byte me) {
	byte w, mine, e, x;
	do
	:: d_step { idle && !used -> Ready() }
	:: d_step { idle && used && (sent || closed) -> sent = false; received = true; e = ASKED }
	:: d_step { mine == 0 && e == ASKED -> TryGet() }
	:: wake()
	:: d_step { mine == 0 && e == WORKING -> TaskDone(); e = NIL; Unlock() }
	:: idle && !getting -> break
	:: mine == 0 && e == SHUTDOWN -> break
	od
}
#endif

#if JOINERS
proctype joiner(byte me) {
	byte w, mine, e;
#ifdef POOL
	bool loaded;
#endif
	do
	:: d_step { idle && others -> call[me].joins = true; unlessAsks(unfinished > 0, Join()) }
	asked(Join())
	:: wake()
	:: d_step { receive(joiners); joinReturns() }
	cancel
	:: d_step { leave(joiners, locked, CTX); Unlock(); if :: e == CTX -> joinReturns() :: else fi }
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
	:: atomic { idle && others -> offer(x); d_step { ForcePut() } }
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
	:: d_step { mine == 0 && others && capacity != 1 -> Resize(1) }
	:: d_step { mine == 0 && others && capacity != LARGEST -> Resize(LARGEST) }
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
	:: d_step { mine == 0 && others && early < 2 && (unfinished > 0 || broken(DONE_BELOW_ZERO)) -> early++; finish(1); Unlock() }
	:: wake()
	:: mine == 0 && !others -> break
	od
}
#endif

/* When no process can move, what holds before a shutdown and after it */
inline resting() {
	check(quiescent, len(joiners) == 0 || unfinished > 0);
#if COLLECTORS
	check(quiescent, !begun(COLLECTOR) || !(gets ?? [eval(COLLECTOR)]));
#endif
#if COLLECTORS > 1
	check(quiescent, !begun(COLLECTOR + 1) || !(gets ?? [eval(COLLECTOR + 1)]));
#endif
	check(quiescent, !getting || len(buf) == 0)
}

/*
 * Ends the run, at any moment. Either the queue is shut down at once, or no more
 * items are put, or received, or both, and the queue is shut down when no process
 * can move. The shutdown is of either kind, and a second one is immediate. No
 * context ends from then on until the parked calls are counted, so they must be
 * released by other calls.
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
		resting()
	};
shut:
	if
	:: d_step { Shutdown(false) }
	:: d_step { Shutdown(true) }
	fi;
	do
	:: wake()
	:: mine == 0 -> break
	od;
	others = false;
	cancelling = false;
	timeout -> d_step {
		check(quiescent, len(getters) == 0 && len(putters) == 0);
		resting();
		Shutdown(true)
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
#if CONSUMERS
		:: k > PRODUCERS && k < COLLECTOR -> run consumer(k); k++
#endif
#if COLLECTORS
		:: k >= COLLECTOR && k < JOINER -> run collector(k); k++
#endif
#if JOINERS
		:: k >= JOINER && k <= CALLERS -> run joiner(k); k++
#endif
		:: k == FORCER -> k++
#if SELECTORS
		:: k >= SELECTOR && k < SELECTOR + SELECTORS -> run selector(k); k++
#endif
		:: k == SELECTOR + SELECTORS -> break
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
