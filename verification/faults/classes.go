package main

import "path"

// A class is a way in which queues have failed.
type class struct {
	name   string
	faults []fault
}

// A fault is one member of a class, built into the code of the queues, and the
// test that must fail then, behind the directory of its package.
type fault struct {
	what  string
	test  string
	edits []edit
}

func (f fault) dir() string  { return path.Dir(f.test) }
func (f fault) name() string { return path.Base(f.test) }

const (
	queueGo    = "queue.go"
	storeGo    = "store.go"
	batchGo    = "batch.go"
	joinGo     = "join.go"
	shutdownGo = "shutdown.go"
	priorityGo = "priority.go"
	tasksGo    = "tasks.go"
	tallyGo    = "internal/park/tally.go"
	statsGo    = "stats.go"
	parkGo     = "internal/park/park.go"
	signalGo   = "internal/park/signal.go"
	dequeGo    = "internal/deque/deque.go"
	heapGo     = "internal/heap/heap.go"
	coreGo     = "keyed/core.go"
	latestGo   = "keyed/latest.go"
	fairGo     = "keyed/fair.go"
	indexGo    = "keyed/index.go"
)

var classes = []class{
	{"an item is lost when its receiver is canceled", []fault{
		{
			"a call that was completed returns its context's error",
			"TestABlockedCallThatIsCompletedAfterItsContextEndedKeepsWhatItWasGiven",
			[]edit{{parkGo, "Lot.leave", "l.Mu.Unlock()", "w.err = errLeft\n$old"}},
		},
		{
			"the same, under load",
			"TestNoItemIsLostOrDoubledThoughContextsEndAsItIsHandedOver",
			[]edit{{parkGo, "Lot.leave", "l.Mu.Unlock()", "w.err = errLeft\n$old"}},
		},
		{
			"a canceled batch does not report the items it had added",
			"TestPutBatchReturnsHowManyWentIn",
			[]edit{{batchGo, "Queue.PutBatch", "return n + moved, err", "if err != nil {\n\treturn 0, err\n}\n$old"}},
		},
		{
			"the signal to a call that gave up goes to the next user of its waiter",
			"TestNoItemIsLostOrDoubledThoughContextsEndAsItIsHandedOver",
			[]edit{{parkGo, "Lot.leave", "if !parked {\n\t<-w.ready\n}", ""}},
		},
	}},
	{"a canceled call swallows a wakeup", []fault{
		{
			"it stays in the wait queue and is completed in place of the next call",
			"TestACancelledCallSwallowsNoWakeUp",
			[]edit{{parkGo, "Lot.leave", "line.remove(w)", "w.spare = false"}},
		},
		{
			"it removes the calls behind it from the wait queue as well",
			"TestACancelledCallSwallowsNoWakeUp",
			[]edit{{parkGo, "Line.remove", "l.Head = w.next", "l.Head = nil"}},
		},
		{
			"it stays the tail of the wait queue, and the next call blocks behind it",
			"TestACallBlockedBehindACancelledOneCompletes",
			[]edit{{parkGo, "Line.remove", "l.tail = w.prev", "_ = w.prev"}},
		},
	}},
	{"a cancellation between the check and the blocking is missed", []fault{
		{
			"Get ignores its context while blocked",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			[]edit{{queueGo, "Queue.Get", "q.lot.Wait(done, &q.getters, w)", "if ctx.Err() != nil {\n\tdone = nil\n}\n$old"}},
		},
		{
			"Put ignores its context while blocked",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			[]edit{{queueGo, "Queue.Put", "q.lot.Wait(done, &q.putters, w)", "if ctx.Err() != nil {\n\tdone = nil\n}\n$old"}},
		},
		{
			"Join ignores its context while blocked",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			[]edit{{tallyGo, "Tally.Join", "lot.Wait(done, &t.Joiners, w)", "if ctx.Err() != nil {\n\tdone = nil\n}\n$old"}},
		},
		{
			"PutBatch ignores its context while blocked",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			[]edit{{batchGo, "Queue.PutBatch", "q.lot.Wait(done, &q.putters, w)", "if ctx.Err() != nil {\n\tdone = nil\n}\n$old"}},
		},
		{
			"GetBatch ignores its context while blocked",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			[]edit{{batchGo, "Queue.GetBatch", "q.lot.Wait(done, &q.getters, w)", "if ctx.Err() != nil {\n\tdone = nil\n}\n$old"}},
		},
	}},
	{"the waker blocks while it holds the lock", []fault{
		{
			"Put hands an item over under the lock, through an unbuffered channel",
			"TestBlockedCallsCancelledAndCompletedAtOnceAllReturn",
			[]edit{
				{parkGo, "Lot.Park", "make(chan struct{}, 1)", "make(chan struct{})"},
				{queueGo, "Queue.addUnlock", "q.getters.Pop()\nq.unlock()\nw.Signal()", "q.getters.Pop()\nw.Signal()\nq.unlock()"},
			},
		},
		{
			"a call wakes those that it completed under the lock, through an unbuffered channel",
			"TestBlockedCallsCancelledAndCompletedAtOnceAllReturn",
			[]edit{
				{parkGo, "Lot.Park", "make(chan struct{}, 1)", "make(chan struct{})"},
				{parkGo, "Lot.Unlock", "l.served, l.servedLast = nil, nil\nl.Mu.Unlock()", "l.served, l.servedLast = nil, nil\ndefer l.Mu.Unlock()"},
			},
		},
		{
			"the last TaskDone wakes Joins under the lock, through an unbuffered channel",
			"TestBlockedCallsCancelledAndCompletedAtOnceAllReturn",
			[]edit{
				{parkGo, "Lot.Park", "make(chan struct{}, 1)", "make(chan struct{})"},
				{tallyGo, "Tally.Finish", "lot.ServeAll(&t.Joiners, nil)", "for t.Joiners.Head != nil {\n\tt.Joiners.Pop().Signal()\n}"},
			},
		},
		{
			"Shutdown wakes Gets under the lock, through an unbuffered channel",
			"TestBlockedCallsCancelledAndCompletedAtOnceAllReturn",
			[]edit{
				{parkGo, "Lot.Park", "make(chan struct{}, 1)", "make(chan struct{})"},
				{parkGo, "", "", "func (w *Waiter[T]) End(err error) { w.err = err; w.ready <- struct{}{} }"},
				{shutdownGo, "Queue.Shutdown", "q.lot.ServeAll(&q.getters, ErrShutdown)", "for q.getters.Head != nil {\n\tq.getters.Pop().End(ErrShutdown)\n}"},
			},
		},
	}},
	{"two kinds of calls wait for one event, and only one of them is woken", []fault{
		{
			"Join waits in the wait queue of Gets",
			"TestEachEventReleasesThoseItEnables",
			[]edit{{joinGo, "Queue.Join", "return q.tally.Join(ctx, &q.lot)", "if err := ctx.Err(); err != nil {\n\treturn err\n}\nq.lot.Lock()\nif q.tally.Unfinished == 0 {\n\tq.unlock()\n\treturn nil\n}\nw := q.lot.Park(&q.getters)\nq.unlock()\nq.lot.Wait(ctx.Done(), &q.getters, w)\n_, _, err := q.lot.Collect(ctx, w)\nreturn err"}},
		},
		{
			"the last TaskDone releases only one Join",
			"TestEachEventReleasesThoseItEnables",
			[]edit{{tallyGo, "Tally.Finish", "lot.ServeAll(&t.Joiners, nil)", "if t.Joiners.Head != nil {\n\tlot.Serve(&t.Joiners, nil)\n}"}},
		},
		{
			"a freed slot releases no Put while a Join is blocked",
			"TestEachEventReleasesThoseItEnables",
			[]edit{{queueGo, "Queue.takeUnlock", "q.putters.Head != nil", "q.putters.Head != nil && q.tally.Joiners.Head == nil"}},
		},
	}},
	{"a shutdown forgets a blocked call, or an item", []fault{
		{
			"blocked Puts",
			"TestAShutdownReleasesEveryBlockedCall",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.lot.ServeAll(&q.putters, ErrShutdown)", ""}},
		},
		{
			"blocked Gets and loops",
			"TestAShutdownReleasesEveryBlockedCall",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.lot.ServeAll(&q.getters, ErrShutdown)", ""}},
		},
		{
			"all blocked calls but the first",
			"TestAShutdownReleasesEveryBlockedCall",
			[]edit{{parkGo, "Lot.ServeAll", "for line.Head != nil {\n\tl.Serve(line, err)\n}", "if line.Head != nil {\n\tl.Serve(line, err)\n}"}},
		},
		{
			"blocked Puts, if it is immediate",
			"TestAShutdownReleasesEveryBlockedCall",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.lot.ServeAll(&q.putters, ErrShutdown)", "if !immediate {\n\t$old\n}"}},
		},
		{
			"Joins that wait for the drained items",
			"TestWhatIsDroppedReleasesJoin",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.tally.Finish(&q.lot, int(min(int64(len(drained)), q.tally.Unfinished)))", ""}},
		},
		{
			"Joins, although no unfinished item is left",
			"TestAShutdownThatDrainsAllThatIsUnfinishedReleasesJoin",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.tally.Finish(&q.lot, int(min(int64(len(drained)), q.tally.Unfinished)))", "q.tally.Unfinished -= min(int64(len(drained)), q.tally.Unfinished)"}},
		},
		{
			"the queued items, if it follows a graceful one",
			"TestAGracefulShutdownMayBeFollowedByAnImmediateOne",
			[]edit{{shutdownGo, "Queue.Shutdown", "immediate && q.store.len > 0", "immediate && !q.shutdown && q.store.len > 0"}},
		},
		{
			"the order of a LIFO queue",
			"TestAnImmediateShutdownReturnsTheQueuedItemsInOrder",
			[]edit{{storeGo, "store.popAll", "dst[i] = s.buf.PopBack()", "dst[i] = s.buf.PopFront()"}},
		},
		{
			"the channel of Ready",
			"TestReadyIsClosedByAShutdownAndTryGetReturnsWhatIsLeft",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.ready.Close()", ""}},
		},
		{
			"the channel of Ready, if it is made after the shutdown",
			"TestReadyIsClosedByAShutdownAndTryGetReturnsWhatIsLeft",
			[]edit{{signalGo, "Signal.Chan", "s.closed", "false && s.closed"}},
		},
	}},
	{"a call after a shutdown, or a second shutdown, panics or adds an item", []fault{
		{
			"the second Shutdown panics",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.shutdown = true", "if q.shutdown {\n\tpanic(\"shut down twice\")\n}\n$old"}},
		},
		{
			"a late Put panics",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			[]edit{{queueGo, "Queue.Put", "if q.shutdown {\n\tq.unlock()\n\treturn ErrShutdown\n}", "if q.shutdown {\n\tq.unlock()\n\tpanic(ErrShutdown)\n}"}},
		},
		{
			"a late ForcePut adds its item",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			[]edit{{queueGo, "Queue.ForcePut", "if q.shutdown {\n\tq.unlock()\n\treturn evicted, false, ErrShutdown\n}", ""}},
		},
		{
			"a late TryPut adds its item, if the queue is empty",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			[]edit{{queueGo, "Queue.TryPut", "q.shutdown", "q.shutdown && q.store.len > 0"}},
		},
		{
			"a late PutBatch adds its items, and returns ErrShutdown",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			[]edit{{batchGo, "Queue.PutBatch", "if q.shutdown {\n\tq.unlock()\n\treturn 0, ErrShutdown\n}", "if q.shutdown {\n\tq.storeAll(items)\n\tq.unlock()\n\treturn 0, ErrShutdown\n}"}},
		},
		{
			"a late TryPutBatch adds its items",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{batchGo, "Queue.TryPutBatch", "q.shutdown", "false"}},
		},
		{
			"a Requeue after an immediate shutdown adds its item, while items are unfinished",
			"TestRequeueIsRefusedAfterAnImmediateShutdown",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.refusing = q.refusing || immediate", ""}},
		},
		{
			"a Requeue after a shutdown adds its item, although no item is unfinished",
			"TestRequeueIsTakenAfterAGracefulShutdownWhileItemsAreUnfinished",
			[]edit{{queueGo, "Queue.Requeue", "q.refusing || q.shutdown && q.tally.Unfinished == 0", "q.refusing"}},
		},
		{
			"remaining or requeued items send a signal on the closed channel of Ready",
			"TestReadyIsClosedByAShutdownAndTryGetReturnsWhatIsLeft",
			[]edit{{signalGo, "Signal.Send", "s.C == nil || s.closed", "s.C == nil"}},
		},
		{
			"the channel of Ready is closed twice",
			"TestReadyIsClosedByAShutdownAndTryGetReturnsWhatIsLeft",
			[]edit{{signalGo, "Signal.Close", "s.C != nil && !s.closed", "s.C != nil"}},
		},
	}},
	{"the last item is lost at a shutdown", []fault{
		{
			"Get checks for a shutdown before it checks for items",
			"TestAnItemPutJustBeforeTheShutdownIsStillReceived",
			[]edit{{queueGo, "Queue.Get", "if q.store.len == 0 {\n\tq.unlock()\n\treturn item, ErrShutdown\n}", "if q.store.len == 0 || q.shutdown {\n\tq.unlock()\n\treturn item, ErrShutdown\n}"}},
		},
		{
			"TryGet checks for a shutdown before it checks for items",
			"TestAnItemPutJustBeforeTheShutdownIsStillReceived",
			[]edit{{queueGo, "Queue.TryGet", "q.store.len > 0", "q.store.len > 0 && !q.shutdown"}},
		},
		{
			"GetBatch checks for a shutdown before it checks for items",
			"TestAnItemPutJustBeforeTheShutdownIsStillReceived",
			[]edit{{batchGo, "Queue.GetBatch", "if q.store.len == 0 {\n\tq.unlock()\n\treturn 0, ErrShutdown\n}", "if q.store.len == 0 || q.shutdown {\n\tq.unlock()\n\treturn 0, ErrShutdown\n}"}},
		},
		{
			"a loop over Tasks checks for a shutdown before it checks for items",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{tasksGo, "Queue.next", "q.store.len > 0", "q.store.len > 0 && !q.shutdown"}},
		},
		{
			"a graceful shutdown removes the items too",
			"TestAnItemPutJustBeforeTheShutdownIsStillReceived",
			[]edit{{shutdownGo, "Queue.Shutdown", "immediate && q.store.len > 0", "q.store.len > 0"}},
		},
		{
			"TryGetBatch checks for a shutdown before it checks for items",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{batchGo, "Queue.TryGetBatch", "q.store.len == 0", "q.store.len == 0 || q.shutdown"}},
		},
		{
			"a loop over Batches checks for a shutdown before it checks for items",
			"TestBatchesDoesNotLingerInATurnThatBeginsAfterAShutdown",
			[]edit{{batchGo, "Queue.turn", "q.store.len > 0", "q.store.len > 0 && !q.shutdown"}},
		},
	}},
	{"a count of items is wrong", []fault{
		{
			"of unfinished items, after an immediate shutdown",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.tally.Finish(&q.lot, int(min(int64(len(drained)), q.tally.Unfinished)))", ""}},
		},
		{
			"of unfinished items, after an eviction, which counts the new item and does not subtract the old one",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{queueGo, "Queue.ForcePut", "q.put++", "q.count(1)"}},
		},
		{
			"of unfinished items, after a cancellation, because Put counts when it blocks",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{queueGo, "Queue.Put", "q.lot.Park(&q.putters)", "func() *waiter[T] {\n\tq.tally.Unfinished++\n\treturn $old\n}()"}},
		},
		{
			"of unfinished items, negative if TaskDone came before the shutdown",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{shutdownGo, "Queue.Shutdown", "q.tally.Finish(&q.lot, int(min(int64(len(drained)), q.tally.Unfinished)))", "q.tally.Finish(&q.lot, len(drained))"}},
		},
		{
			"of unfinished items, negative if the body of a loop over Batches called TaskDone",
			"TestBatchesTakesOffNoMoreThanIsUnfinished",
			[]edit{{batchGo, "Queue.markBatch", "int(min(int64(b.inHand), q.tally.Unfinished))", "b.inHand"}},
		},
		{
			"of unfinished items, negative if the body of a loop over Tasks called TaskDone",
			"TestTasksContinuesThoughItsItemsWereMarkedDoneElsewhere",
			[]edit{{tasksGo, "Queue.next", "*inHand && q.tally.Unfinished > 0", "*inHand"}},
		},
		{
			"of unfinished items, after a break out of a loop over Batches",
			"TestBatchesMarksItsItemsDoneWhenTheBodyLeaves",
			[]edit{{batchGo, "Queue.batches", "b.inHand > 0", "false"}},
		},
		{
			"of rejected items, because a batch counts as one",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{batchGo, "Queue.TryPutBatch", "q.rejected += uint64(len(items) - n)", "q.rejected++"}},
		},
		{
			"of drained items, because it includes evictions",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{queueGo, "Queue.ForcePut", "q.dropped++", "q.dropped++\nq.drained++"}},
		},
	}},
	{"a requeued item is rejected, lost, or not waited for by Join", []fault{
		{
			"it is counted after the item in hand is marked done, and Join returns between the two",
			"TestRequeueWithinALoopBeforeItsItemIsDoneKeepsJoinBlocked",
			[]edit{{queueGo, "Queue.Requeue", "q.addUnlock(item)", "q.tally.Finish(&q.lot, 1)\n$old"}},
		},
		{
			"it is not counted",
			"TestRequeueWithinALoopBeforeItsItemIsDoneKeepsJoinBlocked",
			[]edit{{queueGo, "Queue.Requeue", "q.addUnlock(item)", "q.tally.Unfinished--\n$old"}},
		},
		{
			"a full queue rejects it",
			"TestRequeueMakesAFullQueueLongerThanItsCapacity",
			[]edit{{queueGo, "Queue.Requeue", "q.refusing || q.shutdown && q.tally.Unfinished == 0", "q.full() || $old"}},
		},
		{
			"a full queue evicts another item for it",
			"TestRequeueMakesAFullQueueLongerThanItsCapacity",
			[]edit{{queueGo, "Queue.Requeue", "q.addUnlock(item)", "if q.full() {\n\tq.store.exchange(item)\n\tq.unlock()\n\treturn nil\n}\n$old"}},
		},
		{
			"a queue that was shut down gracefully rejects it, although items are unfinished",
			"TestRequeueIsTakenAfterAGracefulShutdownWhileItemsAreUnfinished",
			[]edit{{queueGo, "Queue.Requeue", "q.refusing || q.shutdown && q.tally.Unfinished == 0", "q.shutdown"}},
		},
		{
			"a queue above its capacity lets blocked Puts in",
			"TestRequeueMakesAFullQueueLongerThanItsCapacity",
			[]edit{{queueGo, "Queue.full", "q.store.len >= q.capacity", "q.store.len == q.capacity"}},
		},
		{
			"a queue above its capacity has a negative number of free slots",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{queueGo, "Queue.room", "max(q.capacity-q.store.len, 0)", "q.capacity - q.store.len"}},
		},
	}},
	{"a batch lingers too long, or not at all", []fault{
		{
			"each item restarts the linger",
			"TestBatchesLingersFromTheFirstItemAndNoLonger",
			[]edit{{parkGo, "Batch.Add", "len(b.Items) == len(items) && b.timer != nil", "b.timer != nil"}},
		},
		{
			"the linger starts with the wait, not with the first item",
			"TestBatchesLingersFromTheFirstItemAndNoLonger",
			[]edit{{parkGo, "Batch.Arm", "len(b.Items) > 0", "true"}},
		},
		{
			"items that were queued before the wait start no linger",
			"TestBatchesLingersOverAnItemThatWasQueuedBeforeItsTurn",
			[]edit{{parkGo, "Batch.Arm", "if len(b.Items) > 0 {\n\tb.timer.Reset(b.Linger)\n}", ""}},
		},
		{
			"a turn without linger waits for more",
			"TestBatchesNeverWaitsForMoreWithoutLinger",
			[]edit{{parkGo, "Batch.Complete", "len(b.Items) == b.Size || b.Linger <= 0", "len(b.Items) == b.Size"}},
		},
		{
			"a turn with linger does not wait for more",
			"TestBatchesLingersOverItemsThatWereQueuedBefore",
			[]edit{{parkGo, "Batch.Complete", "len(b.Items) == b.Size || b.Linger <= 0", "true"}},
		},
		{
			"a timer keeps running after its turn, and ends the next one",
			"TestBatchesLingerEndsNoLaterTurn",
			[]edit{{parkGo, "Lot.WaitBatch", "timer.Stop()", ""}},
		},
		{
			"a full batch waits until its linger has passed",
			"TestBatchesOfTwoLoopsFedByATrickleFillOneAfterTheOther",
			[]edit{{parkGo, "Batch.Complete", "len(b.Items) == b.Size || b.Linger <= 0", "b.Linger <= 0"}},
		},
		{
			"a turn that begins after a shutdown lingers",
			"TestBatchesDoesNotLingerInATurnThatBeginsAfterAShutdown",
			[]edit{{batchGo, "Queue.turn", "b.batch.Complete() || q.shutdown || b.failed", "b.batch.Complete() || b.failed"}},
		},
	}},
	{"a loop over batches drops the items in hand", []fault{
		{
			"when its context ends",
			"TestBatchesYieldsWhatIsInHandWhateverEndsTheWait",
			[]edit{{batchGo, "Queue.turn", "if len(b.batch.Items) == 0 {\n\treturn q.turn(ctx, b)\n}", "if len(b.batch.Items) == 0 || b.ending {\n\treturn false\n}"}},
		},
		{
			"at a shutdown",
			"TestBatchesYieldsWhatIsInHandWhateverEndsTheWait",
			[]edit{{batchGo, "Queue.turn", "if len(b.batch.Items) == 0 {\n\treturn q.turn(ctx, b)\n}", "if len(b.batch.Items) == 0 || q.shutdown {\n\treturn false\n}"}},
		},
		{
			"when the linger passes",
			"TestBatchesLingersFromTheFirstItemAndNoLonger",
			[]edit{{batchGo, "Queue.turn", "if len(b.batch.Items) == 0 {\n\treturn q.turn(ctx, b)\n}", "if len(b.batch.Items) < b.batch.Size {\n\treturn false\n}"}},
		},
		{
			"when compare panics on the items behind them",
			"TestBatchesYieldsWhatItTookBeforeCompareFailed",
			[]edit{
				{batchGo, "Queue.turn", "b.batch.Complete() || q.shutdown || b.failed", "b.batch.Complete() || q.shutdown"},
				{batchGo, "Queue.turn", "b.batch.Arm()", "if b.failed {\n\tq.lot.Unlock()\n\tpanic(b.fault)\n}\n$old"},
			},
		},
		{
			"at the next turn, which yields the last batch again",
			"TestBatchesYieldsQueuedItemsInOrderInBatchesOfTheSize",
			[]edit{{batchGo, "Queue.batches", "b.batch.Items = b.batch.Items[:0]", ""}},
		},
	}},
	{"a trickle is split between loops over batches", []fault{
		{
			"a loop moves behind the others once it has an item",
			"TestBatchesOfTwoLoopsFedByATrickleFillOneAfterTheOther",
			[]edit{
				{parkGo, "", "", "func (l *Line[T]) Rotate() {\n\tw := l.Head\n\tl.remove(w)\n\tl.append(w)\n}"},
				{queueGo, "Queue.addUnlock", "!w.Batch.Complete()", "func() bool {\n\tif !w.Batch.Complete() {\n\t\tq.getters.Rotate()\n\t\treturn true\n\t}\n\treturn false\n}()"},
			},
		},
		{
			"a loop is woken for each item",
			"TestBatchesOfTwoLoopsFedByATrickleFillOneAfterTheOther",
			[]edit{{queueGo, "Queue.addUnlock", "!w.Batch.Complete()", "false"}},
		},
		{
			"a PutBatch gives each loop one item",
			"TestBatchesAreFilledByPutBatchTheFirstInLineFirst",
			[]edit{{batchGo, "Queue.handOver", "min(len(rest), w.Batch.Room())", "1"}},
		},
		{
			"a PutBatch ends the batch that it adds to",
			"TestBatchesWaitsForMoreAfterAPutBatchThatLeavesItUnfinished",
			[]edit{{batchGo, "Queue.handOver", "if !w.Batch.Complete() {\n\tbreak\n}", ""}},
		},
	}},
	{"canceled calls pile up", []fault{
		{
			"they stay in the wait queue until they would be completed",
			"TestCancelledCallsDoNotPileUp",
			[]edit{{parkGo, "Lot.leave", "line.remove(w)", "w.spare = false"}},
		},
		{
			"the same, checked by the plain model",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{parkGo, "Lot.leave", "line.remove(w)", "w.spare = false"}},
		},
		{
			"they leave the wait queue, but their waiters are kept",
			"TestCancelledCallsDoNotPileUp",
			[]edit{
				{parkGo, "", "", "var kept []any"},
				{parkGo, "Lot.leave", "line.remove(w)", "$old\nkept, w.spare = append(kept, w), false"},
			},
		},
		{
			"Joins stay until all items are done",
			"TestCancelledCallsDoNotPileUp",
			[]edit{
				{parkGo, "", "", "func (l *Lot[T]) Stay(done <-chan struct{}, w *Waiter[T]) {\n\tselect {\n\tcase <-w.ready:\n\tcase <-done:\n\t\tl.Lock()\n\t\tif w.parked {\n\t\t\tw.spare, w.err = false, errLeft\n\t\t}\n\t\tl.Mu.Unlock()\n\t}\n}"},
				{tallyGo, "Tally.Join", "lot.Wait(done, &t.Joiners, w)", "lot.Stay(done, w)"},
			},
		},
		{
			"every blocked call leaves a waiter to be reused",
			"TestThousandsOfBlockedCallsLeaveFewWaitersBehind",
			[]edit{{parkGo, "Lot.Park", "l.reusable < max(spareBytes/(int(unsafe.Sizeof(*w))+readyBytes), leastSpare)", "unsafe.Sizeof(*w) > 0"}},
		},
	}},
	{"items are kept alive after they have left", []fault{
		{
			"by the slot of a FIFO queue",
			"TestItemsThatLeftAreNotKeptAlive",
			[]edit{{dequeGo, "Deque.PopFront", "*slot = zero", "_ = zero"}},
		},
		{
			"by the slot of a LIFO queue",
			"TestItemsThatLeftAreNotKeptAlive",
			[]edit{{dequeGo, "Deque.PopBack", "d.last[n] = zero", "_ = zero"}},
		},
		{
			"by the slots that a batch left",
			"TestItemsThatLeftAreNotKeptAlive",
			[]edit{{dequeGo, "Deque.PopFrontInto", "clear(part[:n])", ""}},
		},
		{
			"by the unused end of a priority queue's array",
			"TestItemsThatLeftAreNotKeptAlive",
			[]edit{{heapGo, "Heap.Pop", "h.drop(last)", ""}},
		},
		{
			"by the waiter of a completed call",
			"TestAnItemHandedToABlockedCallIsNotKeptAlive",
			[]edit{{parkGo, "Lot.giveBack", "clear(w.one[:])", ""}},
		},
		{
			"by the waiter of a batch that was let in",
			"TestAnItemHandedToABlockedCallIsNotKeptAlive",
			[]edit{
				{parkGo, "", "", "var kept []any"},
				{parkGo, "Lot.giveBack", "clear(w.one[:])", "if len(w.Items) > 1 && w.err == nil {\n\tkept = append(kept, w.Items)\n}\n$old"},
			},
		},
		{
			"by the waiter of a canceled batch",
			"TestACancelledCallLeavesNothingBehind",
			[]edit{{parkGo, "Lot.giveBack", "w.Items, w.Moved, w.err = w.one[:], 0, nil", "w.Moved, w.err = 0, nil"}},
		},
		{
			"by the slice of a loop over Batches",
			"TestBatchesClearsTheSliceAtTheNextTurnAndWhenItEndsByItself",
			[]edit{{batchGo, "Queue.batches", "clear(b.batch.Items[:n])", ""}},
		},
	}},
	{"the store fails in edge cases", []fault{
		{
			"a FIFO queue continues past the last slot of a chunk",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			[]edit{{dequeGo, "Deque.leaveFront", "d.head = 0\nif d.front == d.back {\n\td.last = d.last[:0]\n\treturn\n}", "if d.front == d.back {\n\td.head = 0\n\td.last = d.last[:0]\n\treturn\n}"}},
		},
		{
			"a LIFO queue stays in a chunk that it has emptied",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			[]edit{{dequeGo, "Deque.PopBack", "if n == 0 {\n\td.leaveBack()\n}", ""}},
		},
		{
			"a batch that leaves one item restarts a FIFO queue's chunk",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{dequeGo, "Deque.PopFrontInto", "d.front == d.back && d.head == len(d.last)", "d.front == d.back && d.head >= len(d.last)-1"}},
		},
		{
			"a priority queue overlooks its last item",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			[]edit{{heapGo, "Heap.replaceRoot", "child < len(items)", "child+1 < len(items)"}},
		},
		{
			"a queue accepts one item more than its capacity",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			[]edit{{queueGo, "Queue.full", "q.store.len >= q.capacity", "q.store.len > q.capacity"}},
		},
	}},
	{"drop-oldest drops the wrong item, or breaks the order", []fault{
		{
			"a FIFO or LIFO queue drops its newest",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			[]edit{{storeGo, "store.exchange", "s.buf.PopFront()", "s.buf.PopBack()"}},
		},
		{
			"the new item is dropped",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			[]edit{{storeGo, "store.exchange", "evicted = s.buf.PopFront()\ns.buf.PushBack(item)", "evicted = item"}},
		},
		{
			"a priority queue drops the item that would leave first",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			[]edit{{priorityGo, "store.exchangeHeap", "evicted = s.heap.Exchange(item)", "evicted = s.heap.Pop()\ns.heap.Push(item)"}},
		},
		{
			"a priority queue never drops the new item",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			[]edit{{heapGo, "Heap.Exchange", "h.before(0, greatest)", "true"}},
		},
	}},
	{"a queue is reported full or empty although it is not", []fault{
		{
			"TryPut reports it full when it is locked",
			"TestAWorkerThatPutsBackWhatItTookIsNeverRefused",
			[]edit{{queueGo, "Queue.TryPut", "q.lot.Mu.LockContended()", "return ErrFull"}},
		},
		{
			"TryGet reports it empty when it is locked",
			"TestAWorkerThatPutsBackWhatItTookIsNeverRefused",
			[]edit{{queueGo, "Queue.TryGet", "q.lot.Mu.LockContended()", "return *new(T), ErrEmpty"}},
		},
	}},
	{"new calls overtake blocked calls, or starve them", []fault{
		{
			"a freed slot is left for the next call to take",
			"TestNewcomersNeitherOvertakeNorStarveBlockedCalls",
			[]edit{{queueGo, "Queue.takeUnlock", "q.putters.Head != nil", "q.putters.Len > 10"}},
		},
		{
			"the call that blocked last is completed first",
			"TestNewcomersNeitherOvertakeNorStarveBlockedCalls",
			[]edit{{parkGo, "Line.append", "w.parked, w.prev = true, l.tail\nif l.tail == nil {\n\tl.Head = w\n} else {\n\tl.tail.next = w\n}\nl.tail = w", "w.parked, w.next = true, l.Head\nif l.Head == nil {\n\tl.tail = w\n} else {\n\tl.Head.prev = w\n}\nl.Head = w"}},
		},
		{
			"an item is queued although a Get is blocked",
			"TestBlockedCallsCompleteFirstComeFirstServed",
			[]edit{{queueGo, "Queue.addUnlock", "w != nil", "w != nil && q.getters.Len > 3"}},
		},
	}},
	{"the lock is kept after an early return or a panic", []fault{
		{
			"TryPut keeps it when the queue is full",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{queueGo, "Queue.TryPut", "q.rejected++\nq.unlock()", "q.rejected++"}},
		},
		{
			"Get keeps it when the queue is shut down",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{queueGo, "Queue.Get", "if q.store.len == 0 {\n\tq.unlock()\n\treturn item, ErrShutdown\n}", "if q.store.len == 0 {\n\treturn item, ErrShutdown\n}"}},
		},
		{
			"TryGet, TryGetBatch and Peek keep it when the queue is empty",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{queueGo, "Queue.emptyUnlock", "q.unlock()", ""}},
		},
		{
			"Requeue keeps it when it returns ErrShutdown",
			"TestRequeueIsRefusedAfterAnImmediateShutdown",
			[]edit{{queueGo, "Queue.Requeue", "q.unlock()", ""}},
		},
		{
			"TaskDone keeps it when nothing is unfinished",
			"TestTaskDoneBeyondWhatWasPutIsRefusedAndChangesNothing",
			[]edit{{joinGo, "Queue.TaskDoneN", "q.unlock()", ""}},
		},
		{
			"Join keeps it when nothing is unfinished",
			"TestJoinReturnsOnceAllIsDone",
			[]edit{{tallyGo, "Tally.Join", "lot.Mu.Unlock()\nerr := ctx.Err()", "err := ctx.Err()"}},
		},
		{
			"Join keeps it when the last item is marked done while it calls Done",
			"TestACallSeesWhatChangesAsItAsksForDone",
			[]edit{{tallyGo, "Tally.Join", "lot.Mu.Unlock()\nreturn nil", "return nil"}},
		},
		{
			"a turn of Batches keeps it when the queue is shut down",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			[]edit{{batchGo, "Queue.turn", "q.lot.Unlock()\nreturn false", "return false"}},
		},
		{
			"compare panics while a put stores its item",
			"TestACompareThatFailsChangesNothingAndEndsItsCallAlone",
			[]edit{{priorityGo, "store.pushHeap", "defer s.undoUnless(&done)", "_ = &done"}},
		},
		{
			"compare panics while a Get takes its item",
			"TestACompareThatFailsChangesNothingAndEndsItsCallAlone",
			[]edit{{priorityGo, "store.popHeap", "defer s.undoUnless(&done)", "_ = &done"}},
		},
		{
			"compare panics while an item is evicted",
			"TestACompareThatFailsChangesNothingAndEndsItsCallAlone",
			[]edit{{priorityGo, "store.exchangeHeap", "defer s.undoUnless(&done)", "_ = &done"}},
		},
		{
			"compare panics while items are moved, and they stay where they are",
			"TestACompareThatFailsChangesNothingAndEndsItsCallAlone",
			[]edit{{priorityGo, "store.undoUnless", "s.heap.Undo()", ""}},
		},
		{
			"compare panics in the middle of a batch, whose items are lost",
			"TestACompareThatFailsChangesNothingAndEndsItsCallAlone",
			[]edit{{priorityGo, "store.popHeapAll", "s.heap.Unpop(dst[n])", ""}},
		},
		{
			"compare panics on a blocked Put's item, in the call that makes room",
			"TestACompareThatFailsOnABlockedItemFailsThatPutAlone",
			[]edit{{priorityGo, "recovered", "fault = recover()", ""}},
		},
		{
			"compare panics with nil, which is mistaken for runtime.Goexit",
			"TestAComparePanickingWithNilOnABlockedItemFailsThatPutAlone",
			[]edit{
				{priorityGo, "recovered", "failed = true", "failed = false"},
				{priorityGo, "recovered", "if failed {\n\tfault = recover()\n}", "fault = recover()\nfailed = fault != nil"},
				{priorityGo, "attempt", "fault, failed = recovered(f)", "if fault, failed = recovered(func() { f(); back = true }); !failed && !back {\n\treturn\n}"},
			},
		},
		{
			"compare fails on a blocked Put's item, and the slot is not passed on",
			"TestASlotThatIsFreedAsCompareFailsGoesToTheNextBlockedPut",
			[]edit{{priorityGo, "Queue.pushParked", "q.admit()", ""}},
		},
	}},
	{"a batch deadlocks, or wakes one call when several could proceed", []fault{
		{
			"a GetBatch that frees several slots lets only one Put in",
			"TestGetBatchMakesRoomForAllThatFit",
			[]edit{{queueGo, "Queue.admit", "if w.Moved == len(w.Items) || n == 0 {\n\tq.lot.Serve(&q.putters, nil)\n}", "$old\nbreak"}},
		},
		{
			"a PutBatch completes only one of the blocked Gets",
			"TestPutBatchCompletesEveryBlockedGetItCan",
			[]edit{{batchGo, "Queue.handOver", "w != nil && n < len(items)", "w != nil && n == 0"}},
		},
		{
			"the rest of a PutBatch that completed a Get blocks although slots are free",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{batchGo, "Queue.addAll", "q.storeAll(items[n:])", "func() int {\n\tif n == 0 || q.capacity == 0 {\n\t\treturn $old\n\t}\n\treturn 0\n}()"}},
		},
		{
			"a PutBatch waits until there is room for all of it at once",
			"TestPutBatchGoesInAsRoomIsMadeAndKeepsItsPlace",
			[]edit{{batchGo, "Queue.storeAll", "n := q.room(len(items))", "$old\nif n < len(items) {\n\treturn 0\n}"}},
		},
		{
			"a PutBatch loses its place each time it blocks",
			"TestPutBatchGoesInAsRoomIsMadeAndKeepsItsPlace",
			[]edit{
				{parkGo, "", "", "func (l *Line[T]) Rotate() {\n\tw := l.Head\n\tl.remove(w)\n\tl.append(w)\n}"},
				{queueGo, "Queue.admit", "w.Moved += n", "$old\nif w.Moved < len(w.Items) && w.Next() != nil {\n\tq.putters.Rotate()\n\tcontinue\n}"},
			},
		},
		{
			"a TryPutBatch adds all or nothing",
			"TestTheQueueDoesWhatAPlainModelDoes",
			[]edit{{batchGo, "Queue.TryPutBatch", "len(items) == 0", "len(items) == 0 || q.Cap() > 0 && q.Cap()-q.Len() < len(items)"}},
		},
		{
			"a turn of Batches does not take the items that its freed slots let in",
			"TestBatchesTakesWhatItsFreedSlotsLetIn",
			[]edit{{batchGo, "Queue.collect", "q.admit()", "$old\nbreak"}},
		},
	}},
	{"a signal of Ready is missing", []fault{
		{
			"an item that is queued sends none",
			"TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind",
			[]edit{{queueGo, "Queue.addUnlock", "if q.ready.C != nil {\n\tq.signal()\n}", ""}},
		},
		{
			"an item that leaves while others remain sends none",
			"TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind",
			[]edit{{queueGo, "Queue.takeUnlock", "if q.ready.C != nil {\n\tq.signal()\n}", ""}},
		},
		{
			"the same, in loops of one receive and one TryGet",
			"TestReadyLoopsAloneTakeEveryItem",
			[]edit{{queueGo, "Queue.takeUnlock", "if q.ready.C != nil {\n\tq.signal()\n}", ""}},
		},
		{
			"a batch that is queued sends none",
			"TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind",
			[]edit{{batchGo, "Queue.addAll", "q.signal()", ""}},
		},
		{
			"a batch that leaves while others remain sends none",
			"TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind",
			[]edit{{batchGo, "Queue.takeAllUnlock", "q.signal()", ""}},
		},
		{
			"a turn of Batches that leaves others behind sends none",
			"TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind",
			[]edit{{batchGo, "Queue.collect", "q.signal()", ""}},
		},
		{
			"a Put that Resize lets in sends none",
			"TestReadyIsSignalledWhenABlockedPutIsLetIn",
			[]edit{{queueGo, "Queue.Resize", "q.signal()", ""}},
		},
		{
			"items that are queued before the first call of Ready send none",
			"TestReadyIsSignalledWhenABlockedPutIsLetIn",
			[]edit{{queueGo, "Queue.Ready", "q.ready.Chan(q.store.len > 0)", "q.ready.Chan(false)"}},
		},
		{
			"Ready's channel is visible before its first signal is in it",
			"internal/park/TestASignalIsInItsChannelBeforeTheChannelCanBeSeen",
			[]edit{
				{signalGo, "Signal.Chan", "s.made.Store(&s.C)", ""},
				{signalGo, "Signal.Chan", "s.C = make(chan struct{}, 1)", "$old\ns.made.Store(&s.C)"},
			},
		},
		{
			"items that a call moved before compare failed send none",
			"TestReadyIsSignalledThoughCompareFails",
			[]edit{{priorityGo, "NewPriority", "q.signal()", ""}},
		},
		{
			"calls that move nothing send one",
			"TestReadyIsNotSignalledForCallsThatMoveNothing",
			[]edit{{batchGo, "Queue.addAll", "queued > 0", "queued >= 0"}},
		},
	}},
	{"a context that breaks its contract breaks the queue", []fault{
		{
			"Done panics in a Get that is in the wait queue",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{queueGo, "Queue.Get", "q.lot.Done(ctx)", "(<-chan struct{})(nil)"},
				{queueGo, "Queue.Get", "q.lot.Wait(done, &q.getters, w)", "done = ctx.Done()\n$old"},
			},
		},
		{
			"Done panics in a Put that is in the wait queue",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{queueGo, "Queue.Put", "q.lot.Done(ctx)", "(<-chan struct{})(nil)"},
				{queueGo, "Queue.Put", "q.lot.Wait(done, &q.putters, w)", "done = ctx.Done()\n$old"},
			},
		},
		{
			"Done panics in a PutBatch that is in the wait queue",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{batchGo, "Queue.PutBatch", "done = q.lot.Done(ctx)", ""},
				{batchGo, "Queue.PutBatch", "q.lot.Wait(done, &q.putters, w)", "done = ctx.Done()\n$old"},
			},
		},
		{
			"Done panics in a GetBatch that is in the wait queue",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{batchGo, "Queue.GetBatch", "q.lot.Done(ctx)", "(<-chan struct{})(nil)"},
				{batchGo, "Queue.GetBatch", "q.lot.Wait(done, &q.getters, w)", "done = ctx.Done()\n$old"},
			},
		},
		{
			"Done panics in a Join that is in the wait queue",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{tallyGo, "Tally.Join", "done := ctx.Done()", "var done <-chan struct{}"},
				{tallyGo, "Tally.Join", "lot.Wait(done, &t.Joiners, w)", "done = ctx.Done()\n$old"},
			},
		},
		{
			"Done panics in a call that holds the lock",
			"TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing",
			[]edit{
				{parkGo, "Lot.Done", "l.Mu.Unlock()", ""},
				{parkGo, "Lot.Done", "l.Mu.Lock()", ""},
			},
		},
		{
			"Err panics in a call that is in the wait queue",
			"TestAContextThatFailsInErrWhileItsCallIsBlockedEndsItAloneAndChangesNothing",
			[]edit{
				{parkGo, "", "", "func (l *Lot[T]) WaitErr(ctx context.Context, done <-chan struct{}, line *Line[T], w *Waiter[T]) {\n\tselect {\n\tcase <-w.ready:\n\tcase <-done:\n\t\t_ = ctx.Err()\n\t\tl.leave(line, w, errLeft, nil)\n\t}\n}"},
				{queueGo, "Queue.Get", "q.lot.Wait(done, &q.getters, w)", "q.lot.WaitErr(ctx, done, &q.getters, w)"},
			},
		},
		{
			"a completed call calls Err",
			"TestACallThatWasCompletedReturnsItsItemThoughItsContextWouldFailInErr",
			[]edit{{parkGo, "Lot.Collect", "err != nil", "ctx.Err() != nil || err != nil"}},
		},
		{
			"a call returns nil when Done is closed and Err is nil",
			"TestACallReturnsCanceledWhereDoneIsClosedAndErrIsNil",
			[]edit{{parkGo, "contextErr", "return context.Canceled", "return nil"}},
		},
		{
			"a loop over Batches continues when Done is closed and Err is nil",
			"TestBatchesEndsAfterTheBatchInHandWhereDoneIsClosedAndErrIsNil",
			[]edit{{batchGo, "Queue.turn", "b.ending || ctx.Err() != nil", "ctx.Err() != nil"}},
		},
		{
			"a loop calls Done each time it blocks",
			"TestABlockedCallEndsWithTheFirstDoneOfAContextWhoseDoneChanges",
			[]edit{{tasksGo, "Queue.next", "q.lot.Wait(done, &q.getters, w)", "done = ctx.Done()\n$old"}},
		},
		{
			"Err panics in a turn of Tasks, whose item stays in hand",
			"TestALoopMarksItsItemsDoneOnceThoughItsContextFailsInErr",
			[]edit{{tasksGo, "Queue.tasks", "if inHand {\n\t_ = q.TaskDone()\n}", ""}},
		},
		{
			"Err panics in a turn of Batches, whose items stay in hand",
			"TestALoopMarksItsItemsDoneOnceThoughItsContextFailsInErr",
			[]edit{{batchGo, "Queue.batches", "b.inHand > 0", "false"}},
		},
		{
			"Join misses a zero that is reached while it calls Done or Err",
			"TestJoinSeesAZeroThatComesAsItLooksAtItsContext",
			[]edit{
				{tallyGo, "Tally.Join", "zeros, idle := t.zeros, t.Unfinished == 0", "idle := t.Unfinished == 0"},
				{tallyGo, "Tally.Join", "t.zeros != zeros", "t.Unfinished == 0"},
			},
		},
		{
			"Join reads the count after it has called Err",
			"TestJoinSeesAZeroThatComesAsItLooksAtItsContext",
			[]edit{{tallyGo, "Tally.Join", "err := ctx.Err()", "$old\nlot.Lock()\nzeros, idle = t.zeros, t.Unfinished == 0\nlot.Mu.Unlock()"}},
		},
	}},
	{"printing a queue reads it without the lock, or shows its items", []fault{
		{
			"verbs other than %s and %v print its fields",
			"TestAQueueIsPrintedByEveryVerbWithoutItsItemsWhileItIsUsed",
			[]edit{{statsGo, "Queue.Format", "fmt.Fprintf(f, fmt.FormatString(f, verb), q.String())", "type fields Queue[T]\nfmt.Fprintf(f, fmt.FormatString(f, verb), (*fields)(q))"}},
		},
		{
			"%q does not quote",
			"TestAQueueIsPrintedByEveryVerbWithoutItsItemsWhileItIsUsed",
			[]edit{{statsGo, "Queue.Format", "verb != 'q'", "true"}},
		},
		{
			"a log shows its items",
			"TestALoggedQueueShowsItsFiguresAndNeverItsItems",
			[]edit{{statsGo, "Queue.LogValue", "return q.Stats().LogValue()", "type fields Queue[T]\nreturn slog.AnyValue((*fields)(q))"}},
		},
	}},
	{"a queue that keeps the newest value of each key loses or miscounts one", []fault{
		{
			"a Get whose context ends while it is handed a value drops it",
			"keyed/TestAGetThatCompletedKeepsItsValueThoughItsContextEnds",
			[]edit{{coreGo, "takeUnlock", "item, _, err = c.lot.Collect(ctx, w)", "$old\nif ctx.Err() != nil {\n\tvar none T\n\treturn none, ctx.Err()\n}"}},
		},
		{
			"a Put that replaces a value does not report it",
			"keyed/TestEachValueOfLatestLeavesOnceThoughContextsEndAsItIsHandedOver",
			[]edit{{latestGo, "Latest.Put", "return old, true, nil", "return old, false, nil"}},
		},
		{
			"the old value stays, and the new one is lost",
			"keyed/TestPutOfAQueuedKeyReplacesItsValueAndKeepsItsTurn",
			[]edit{{latestGo, "Latest.Put", "old, e.Value = e.Value, value", "old = e.Value"}},
		},
		{
			"a replaced value counts as unfinished forever",
			"keyed/TestAReplacementLeavesTheUnfinishedCountAsItIs",
			[]edit{{latestGo, "Latest.Put", "c.put++", "c.count()"}},
		},
		{
			"a replaced value is not counted as dropped",
			"keyed/TestTheQueuesDoWhatAPlainModelDoes",
			[]edit{{latestGo, "Latest.Put", "c.dropped++", ""}},
		},
		{
			"a value replaces one that was already taken",
			"keyed/TestAKeyThatWasTakenIsQueuedAgainByTheNextPut",
			[]edit{{latestGo, "Latest.take", "q.at.remove(e.Key)", ""}},
		},
		{
			"a replacement sends no signal",
			"keyed/TestAReplacementIsSignalled",
			[]edit{{latestGo, "Latest.Put", "if c.ready.C != nil {\n\tq.signal()\n}", ""}},
		},
	}},
	{"a key loses its turn, takes another's, or delays another", []fault{
		{
			"a key whose value is replaced goes to the back",
			"keyed/TestPutOfAQueuedKeyReplacesItsValueAndKeepsItsTurn",
			[]edit{{latestGo, "Latest.Put", "old, e.Value = e.Value, value", "$old\nfirst := q.line.PopFront()\nq.line.PushBack(first)\nq.at.add(first.Key, q.line.Last())"}},
		},
		{
			"a key keeps its turn until it has no items left",
			"keyed/TestKeysTakeTurns",
			[]edit{{fairGo, "Fair.take", "t := q.pop(l)", "$old\nfor l.len > 0 && l.inHand == 0 && q.turns.head != l {\n\tnext := q.turns.head\n\tq.turns.remove(next)\n\tq.turns.append(next)\n}"}},
		},
		{
			"the key that was queued last has the first turn",
			"keyed/TestKeysTakeTurns",
			[]edit{{fairGo, "Fair.take", "l := q.turns.head", "l := q.turns.tail"}},
		},
		{
			"a blocked Put of a key delays those of other keys",
			"keyed/TestPutBlocksWhileItsKeyIsFullAndNoOther",
			[]edit{
				{fairGo, "Fair.Put", "!q.full(l)", "$old && c.putWaiting == 0"},
				{fairGo, "Fair.Put", "c.putBlocked++", "if l == nil {\n\tl = q.spare.get(key)\n\tq.lanes.add(key, l)\n}\n$old"},
			},
		},
		{
			"a freed slot lets no blocked Put of its key in",
			"keyed/TestPutBlocksWhileItsKeyIsFullAndNoOther",
			[]edit{{fairGo, "Fair.pop", "l.crowded", "false"}},
		},
		{
			"a shutdown releases the blocked Puts of one key only",
			"keyed/TestShutdownEndsTheBlockedPutsOfEveryKey",
			[]edit{{fairGo, "Fair.Shutdown", "c.lot.ServeAll(&l.putters, queue.ErrShutdown)", "$old\nbreak"}},
		},
	}},
	{"two items of a key are in progress at a time, or its next one never leaves", []fault{
		{
			"a key is in the line while its item is in progress",
			"keyed/TestAFairKeyGoesToTheEndAtOnceAndASerialKeyWhenItIsDone",
			[]edit{{fairGo, "Fair.place", "l.inHand == 0", "true"}},
		},
		{
			"an item is handed to a blocked Get while another of its key is in progress",
			"keyed/TestItemsOfAKeyLeaveInOrderOnceAndSerialOnesOneByOne",
			[]edit{{fairGo, "Fair.add", "c.getters.Head != nil && l.inHand == 0", "c.getters.Head != nil"}},
		},
		{
			"a loop marks another worker's item done, because its body marked its own",
			"keyed/TestALoopMarksItsOwnItemOnlyThoughItsBodyDidSoToo",
			[]edit{{fairGo, "Fair.mark", "l.inHand == t.number", "true"}},
		},
		{
			"a TaskDone does not put its key back in line",
			"keyed/TestAFairKeyGoesToTheEndAtOnceAndASerialKeyWhenItIsDone",
			[]edit{{fairGo, "Fair.done", "q.behind.remove(l)\nq.turns.append(l)\nq.signal()", ""}},
		},
		{
			"a TaskDone puts its key in line although a Get is blocked",
			"keyed/TestATaskDoneOfASerialKeyHandsItsNextItemToABlockedGet",
			[]edit{{fairGo, "Fair.done", "c.getters.Head != nil", "false"}},
		},
		{
			"a TaskDone that puts its key in line sends no signal",
			"keyed/TestReadyIsSignalledByTheTaskDoneThatGivesASerialKeyItsTurn",
			[]edit{{fairGo, "Fair.done", "q.signal()", ""}},
		},
		{
			"a Get returns ErrShutdown although items are behind others in progress",
			"keyed/TestAfterAGracefulShutdownSerialGivesOutWhatIsBehindKeysInHand",
			[]edit{{coreGo, "core.release", "c.ended()", "c.shutdown"}},
		},
		{
			"after a shutdown, the Get that takes the last item leaves the others blocked",
			"keyed/TestAfterAGracefulShutdownSerialGivesOutWhatIsBehindKeysInHand",
			[]edit{{fairGo, "Fair.pop", "c.release()", ""}},
		},
	}},
	{"unfinished items of one key are counted for another", []fault{
		{
			"one TaskDone too many for a key counts for other keys, and releases Join",
			"keyed/TestUnfinishedItemsAreCountedByKey",
			[]edit{{fairGo, "Fair.done", "l.unfinished--", ""}},
		},
		{
			"drained items stay unfinished",
			"keyed/TestShutdownEndsTheBlockedPutsOfEveryKey",
			[]edit{{fairGo, "Fair.drain", "unfinished++", ""}},
		},
		{
			"drained items that were marked done count for other keys",
			"keyed/TestAnEarlyTaskDoneCountsForItsKeyOnceItIsDrained",
			[]edit{{fairGo, "Fair.drain", "c.drop(len(drained), unfinished)", "c.drop(len(drained), len(drained)+0*unfinished)"}},
		},
	}},
	{"a key that is gone or cannot be used leaves something behind", []fault{
		{
			"a key that is not equal to itself leaves an entry",
			"keyed/TestEachItemWithANaNHasAKeyOfItsOwn",
			[]edit{{indexGo, "index.add", "if !selfEqual(key) {\n\treturn\n}", ""}},
		},
		{
			"a key that cannot be hashed leaves the queue locked",
			"keyed/TestAKeyThatCannotBeHashedPanicsAndChangesNothing",
			[]edit{{indexGo, "index.find", "if !hashed {\n\tlock.Unlock()\n}", "_ = hashed"}},
		},
		{
			"a burst of keys leaves its map",
			"keyed/TestTheMemoryOfAMillionKeysIsGivenBack",
			[]edit{{indexGo, "index.remove", "x.most > keepKeys && len(x.entries) <= x.most/16", "false"}},
		},
		{
			"a key without items leaves its lane",
			"keyed/TestAKeyThatIsGoneCostsNoMemory",
			[]edit{{fairGo, "Fair.leave", "q.lanes.remove(l.key)", ""}},
		},
	}},
}
