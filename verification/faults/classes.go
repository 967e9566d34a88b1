package main

// A class is a way in which queues have failed.
type class struct {
	name   string
	faults []fault
}

// A fault is one member of a class, built into the code of this queue, and the
// test that must fail then.
type fault struct {
	what  string
	test  string
	edits []edit
}

// An edit replaces code that stands in a file exactly once.
type edit struct{ file, old, new string }

// one returns the edits of a fault that takes just one.
func one(file, old, new string) []edit { return []edit{{file, old, new}} }

const (
	queueGo    = "queue.go"
	waitGo     = "wait.go"
	batchGo    = "batch.go"
	joinGo     = "join.go"
	shutdownGo = "shutdown.go"
	priorityGo = "priority.go"
	tasksGo    = "tasks.go"
	dequeGo    = "internal/deque/deque.go"
	heapGo     = "internal/heap/heap.go"
)

var classes = []class{
	{"an item is lost as its receiver is cancelled", []fault{
		{
			"a call that was served returns its context's error",
			"TestACallThatWasServedKeepsWhatItWasGivenThoughItsContextEnds",
			one(waitGo, "\tq.mu.Unlock()\n\tif !parked {", "\tw.err = ctx.Err()\n\tq.mu.Unlock()\n\tif !parked {"),
		},
		{
			"the same, under load",
			"TestNoItemIsLostOrDoubledThoughContextsEndAsItIsHandedOver",
			one(waitGo, "\tq.mu.Unlock()\n\tif !parked {", "\tw.err = ctx.Err()\n\tq.mu.Unlock()\n\tif !parked {"),
		},
		{
			"a batch that was cancelled forgets what had gone in",
			"TestPutBatchReturnsHowManyWentIn",
			one(batchGo, "return n + moved, err", "if err != nil {\n\t\treturn 0, err\n\t}\n\treturn n + moved, err"),
		},
		{
			"the signal to a call that has left goes to the next user of its waiter",
			"TestNoItemIsLostOrDoubledThoughContextsEndAsItIsHandedOver",
			one(waitGo, "\tif !parked {\n\t\t<-w.ready", "\tif false {\n\t\t<-w.ready"),
		},
	}},
	{"a cancelled call swallows a wake-up", []fault{
		{
			"it stays in line and is served in place of the next",
			"TestACancelledCallSwallowsNoWakeUp",
			one(waitGo, "l.remove(w)\n\t\tw.err", "w.spare = false\n\t\tw.err"),
		},
		{
			"it takes those behind it out of the line with it",
			"TestACancelledCallSwallowsNoWakeUp",
			one(waitGo, "if w.prev == nil {\n\t\tl.head = w.next", "if w.prev == nil {\n\t\tl.head = nil"),
		},
		{
			"it stays the last in line, and the next parks behind it",
			"TestACallThatParksBehindACancelledOneIsServed",
			one(waitGo, "l.tail = w.prev\n\t} else {", "_ = w.prev\n\t} else {"),
		},
	}},
	{"a cancellation goes unseen between the check and the parking", []fault{
		{
			"Get parks without regard to its context",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			one(queueGo, "done == nil { // as await does, but see there\n\t\t<-w.ready\n\t} else {\n\t\tq.awaitOrLeave(ctx, done, &q.getters, w)",
				"done == nil || ctx.Err() != nil {\n\t\t<-w.ready\n\t} else {\n\t\tq.awaitOrLeave(ctx, done, &q.getters, w)"),
		},
		{
			"Put parks without regard to its context",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			one(queueGo, "done == nil { // as await does, but see there\n\t\t<-w.ready\n\t} else {\n\t\tq.awaitOrLeave(ctx, done, &q.putters, w)",
				"done == nil || ctx.Err() != nil {\n\t\t<-w.ready\n\t} else {\n\t\tq.awaitOrLeave(ctx, done, &q.putters, w)"),
		},
		{
			"Join parks without regard to its context",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			one(waitGo, "done == nil {", "done == nil || ctx.Err() != nil && l == &q.joiners {"),
		},
		{
			"PutBatch and GetBatch park without regard to their context",
			"TestAContextThatEndsAsTheCallParksIsSeen",
			one(waitGo, "done == nil {", "done == nil || ctx.Err() != nil && l != &q.joiners {"),
		},
	}},
	{"the waker blocks while it holds the lock", []fault{
		{
			"Put hands over under the lock, to a channel without room",
			"TestParkedCallsCancelledAndServedAtOnceAllReturn",
			[]edit{
				{waitGo, "make(chan struct{}, 1)", "make(chan struct{})"},
				{queueGo, "q.mu.Unlock()\n\t\tw.ready <- struct{}{}", "w.ready <- struct{}{}\n\t\tq.mu.Unlock()"},
			},
		},
		{
			"a call wakes those that it served under the lock, through a channel without room",
			"TestParkedCallsCancelledAndServedAtOnceAllReturn",
			[]edit{
				{waitGo, "make(chan struct{}, 1)", "make(chan struct{})"},
				{waitGo, "q.served, q.servedLast = nil, nil\n\tq.mu.Unlock()\n\tfor w != nil {", "q.served, q.servedLast = nil, nil\n\tdefer q.mu.Unlock()\n\tfor w != nil {"},
			},
		},
		{
			"the last TaskDone wakes Joins under the lock, through a channel without room",
			"TestParkedCallsCancelledAndServedAtOnceAllReturn",
			[]edit{
				{waitGo, "make(chan struct{}, 1)", "make(chan struct{})"},
				{joinGo, "q.serveAll(&q.joiners, nil)", "for q.joiners.head != nil {\n\t\t\tq.joiners.pop().ready <- struct{}{}\n\t\t}"},
			},
		},
		{
			"Shutdown wakes Gets under the lock, through a channel without room",
			"TestParkedCallsCancelledAndServedAtOnceAllReturn",
			[]edit{
				{waitGo, "make(chan struct{}, 1)", "make(chan struct{})"},
				{shutdownGo, "q.serveAll(&q.getters, ErrShutdown)", "for q.getters.head != nil {\n\t\tw := q.getters.pop()\n\t\tw.err = ErrShutdown\n\t\tw.ready <- struct{}{}\n\t}"},
			},
		},
	}},
	{"two kinds of calls wait for one event, and one of them is woken", []fault{
		{
			"Join stands in the line of Gets",
			"TestEachEventReleasesThoseItEnables",
			one(joinGo, "q.newWaiter(&q.joiners)", "q.newWaiter(&q.getters)"),
		},
		{
			"the last TaskDone releases a single Join",
			"TestEachEventReleasesThoseItEnables",
			one(joinGo, "q.serveAll(&q.joiners, nil)", "if q.joiners.head != nil {\n\t\t\tq.serve(&q.joiners, nil)\n\t\t}"),
		},
		{
			"a slot that is freed releases no Put when a Join waits too",
			"TestEachEventReleasesThoseItEnables",
			one(queueGo, "if q.putters.head != nil {", "if q.putters.head != nil && q.joiners.head == nil {"),
		},
	}},
	{"a shutdown forgets somebody", []fault{
		{
			"parked Puts",
			"TestAShutdownForgetsNobody",
			one(shutdownGo, "q.serveAll(&q.putters, ErrShutdown)", ""),
		},
		{
			"parked Gets",
			"TestAShutdownForgetsNobody",
			one(shutdownGo, "q.serveAll(&q.getters, ErrShutdown)", ""),
		},
		{
			"all that are parked but the first",
			"TestAShutdownForgetsNobody",
			one(waitGo, "for l.head != nil {", "if l.head != nil {"),
		},
		{
			"parked Puts, if it is an immediate one",
			"TestAShutdownForgetsNobody",
			one(shutdownGo, "q.serveAll(&q.putters, ErrShutdown)", "if !immediate {\n\t\tq.serveAll(&q.putters, ErrShutdown)\n\t}"),
		},
		{
			"Joins, which wait for items that it has taken out",
			"TestWhatIsDroppedReleasesJoin",
			one(shutdownGo, "q.finish(int(min(int64(len(drained)), q.unfinished)))", ""),
		},
		{
			"Joins, though none of the items is left that they wait for",
			"TestAShutdownThatDrainsAllThatIsUnfinishedReleasesJoin",
			one(shutdownGo, "q.finish(int(min(int64(len(drained)), q.unfinished)))", "q.unfinished -= min(int64(len(drained)), q.unfinished)"),
		},
		{
			"the items that wait, if it follows a graceful one",
			"TestAGracefulShutdownMayBeFollowedByAnImmediateOne",
			one(shutdownGo, "if immediate && q.len > 0 {", "if immediate && !q.shutdown && q.len > 0 {"),
		},
		{
			"the order of a LIFO queue",
			"TestAnImmediateShutdownReturnsWhatWaitsInOrder",
			one(batchGo, "dst[i] = q.buf.PopBack()", "dst[i] = q.buf.PopFront()"),
		},
	}},
	{"a put after the shutdown, or a second shutdown, panics", []fault{
		{
			"the second Shutdown panics",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			one(shutdownGo, "q.shutdown = true", "if q.shutdown {\n\t\tpanic(\"shut down twice\")\n\t}\n\tq.shutdown = true"),
		},
		{
			"a Put that comes too late panics",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			one(queueGo, "\tif q.shutdown {\n\t\tq.unlock()\n\t\treturn ErrShutdown\n\t}\n\tif !q.full() {\n\t\tq.add(item)\n\t\treturn nil\n\t}\n\tq.putBlocked++",
				"\tif q.shutdown {\n\t\tq.unlock()\n\t\tpanic(ErrShutdown)\n\t}\n\tif !q.full() {\n\t\tq.add(item)\n\t\treturn nil\n\t}\n\tq.putBlocked++"),
		},
		{
			"a ForcePut that comes too late goes in",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			one(queueGo, "\tif q.shutdown {\n\t\tq.unlock()\n\t\treturn evicted, false, ErrShutdown\n\t}\n", ""),
		},
		{
			"a TryPut that comes too late goes in, if the queue is empty",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			one(queueGo, "if q.shutdown {\n\t\tq.unlock()\n\t\treturn ErrShutdown\n\t}\n\tif q.full() {", "if q.shutdown && q.len > 0 {\n\t\tq.unlock()\n\t\treturn ErrShutdown\n\t}\n\tif q.full() {"),
		},
		{
			"a PutBatch that comes too late goes in, and hears that it did not",
			"TestEveryPutInAStormOfShutdownsIsInOrRefused",
			one(batchGo, "\tif q.shutdown {\n\t\tq.unlock()\n\t\treturn 0, ErrShutdown\n\t}\n\tif q.getters",
				"\tif q.shutdown {\n\t\tq.storeAll(items)\n\t\tq.unlock()\n\t\treturn 0, ErrShutdown\n\t}\n\tif q.getters"),
		},
	}},
	{"the last item is lost at the shutdown", []fault{
		{
			"Get looks for the shutdown before it looks for items",
			"TestAnItemPutJustBeforeTheShutdownIsGottenStill",
			one(queueGo, "\tif q.len > 0 {\n\t\treturn q.take(), nil\n\t}\n\tif q.shutdown {\n\t\tq.unlock()\n\t\treturn item, ErrShutdown\n\t}\n",
				"\tif q.shutdown {\n\t\tq.unlock()\n\t\treturn item, ErrShutdown\n\t}\n\tif q.len > 0 {\n\t\treturn q.take(), nil\n\t}\n"),
		},
		{
			"TryGet looks for the shutdown before it looks for items",
			"TestAnItemPutJustBeforeTheShutdownIsGottenStill",
			one(queueGo, "TryGet() (T, error) {\n\tif !q.mu.TryLock() {\n\t\tlockContended(&q.mu)\n\t}\n\tif q.len > 0 {", "TryGet() (T, error) {\n\tif !q.mu.TryLock() {\n\t\tlockContended(&q.mu)\n\t}\n\tif q.len > 0 && !q.shutdown {"),
		},
		{
			"GetBatch looks for the shutdown before it looks for items",
			"TestAnItemPutJustBeforeTheShutdownIsGottenStill",
			one(batchGo, "if q.len > 0 {\n\t\tn = min", "if q.len > 0 && !q.shutdown {\n\t\tn = min"),
		},
		{
			"a graceful shutdown takes the items out too",
			"TestAnItemPutJustBeforeTheShutdownIsGottenStill",
			one(shutdownGo, "if immediate && q.len > 0 {", "if q.len > 0 {"),
		},
	}},
	{"the count of unfinished items goes wrong", []fault{
		{
			"at an immediate shutdown",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(shutdownGo, "q.finish(int(min(int64(len(drained)), q.unfinished)))", ""),
		},
		{
			"at an eviction, which counts the new item and not the old",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(queueGo, "q.put++\n\tq.dropped++", "q.count(1)\n\tq.dropped++"),
		},
		{
			"at a cancellation, because the Put counts as it parks",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(queueGo, "w := q.newWaiter(&q.putters)", "q.unfinished++\n\tw := q.newWaiter(&q.putters)"),
		},
		{
			"below zero, if TaskDone came before the shutdown",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(shutdownGo, "q.finish(int(min(int64(len(drained)), q.unfinished)))", "q.finish(len(drained))"),
		},
	}},
	{"cancelled calls pile up", []fault{
		{
			"they stay in line until somebody would serve them",
			"TestCancelledCallsDoNotPileUp",
			one(waitGo, "l.remove(w)\n\t\tw.err", "w.spare = false\n\t\tw.err"),
		},
		{
			"Joins do, until all is done",
			"TestCancelledCallsDoNotPileUp",
			one(waitGo, "if parked {\n\t\tl.remove(w)", "if parked && l == &q.joiners {\n\t\tw.spare, w.err = false, err\n\t} else if parked {\n\t\tl.remove(w)"),
		},
		{
			"the same, in the line that the plain model keeps",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(waitGo, "if parked {\n\t\tl.remove(w)", "if parked && l == &q.joiners {\n\t\tw.spare, w.err = false, err\n\t} else if parked {\n\t\tl.remove(w)"),
		},
		{
			"Puts leave the line, but their waiters are kept",
			"TestCancelledCallsDoNotPileUp",
			[]edit{
				{waitGo, "if parked {\n\t\tl.remove(w)", "if parked && l == &q.putters {\n\t\tw.spare = false\n\t\tkept = append(kept, w)\n\t}\n\tif parked {\n\t\tl.remove(w)"},
				{waitGo, "// A line is a list", "var kept []any\n\n// A line is a list"},
			},
		},
		{
			"every call ever parked leaves a waiter for reuse",
			"TestThousandsOfParkedCallsLeaveFewWaitersBehind",
			one(waitGo, "if q.reusable < max(spareBytes/(int(unsafe.Sizeof(*w))+readyBytes), leastSpare) {", "if unsafe.Sizeof(*w) > 0 {"),
		},
	}},
	{"items are kept alive after they left", []fault{
		{
			"by the slot of a FIFO queue",
			"TestItemsThatLeftAreNotKeptAlive",
			one(dequeGo, "*slot = zero", "_ = zero"),
		},
		{
			"by the slot of a LIFO queue",
			"TestItemsThatLeftAreNotKeptAlive",
			one(dequeGo, "d.last[n] = zero", "_ = zero"),
		},
		{
			"by the slots that a batch left",
			"TestItemsThatLeftAreNotKeptAlive",
			one(dequeGo, "clear(part[:n])", ""),
		},
		{
			"by the end of a priority queue's array",
			"TestItemsThatLeftAreNotKeptAlive",
			one(heapGo, "h.drop(last)", ""),
		},
		{
			"by the waiter of a call that was served",
			"TestAnItemHandedToAParkedCallIsNotKeptAlive",
			one(waitGo, "clear(w.one[:])", ""),
		},
		{
			"by the waiter of a batch that was let in",
			"TestAnItemHandedToAParkedCallIsNotKeptAlive",
			[]edit{
				{waitGo, "\tclear(w.one[:])\n", "\tclear(w.one[:])\n\tif len(w.items) > 1 && w.err == nil {\n\t\tw.kept = w.items\n\t}\n"},
				{waitGo, "\tspare bool ", "\tkept  []T\n\tspare bool "},
			},
		},
		{
			"by the waiter of a batch that was cancelled",
			"TestACancelledCallLeavesNothingBehind",
			one(waitGo, "w.items, w.moved, w.err, w.fault = w.one[:], 0, nil, nil", "w.moved, w.err, w.fault = 0, nil, nil"),
		},
	}},
	{"the arithmetic of the store fails at its edges", []fault{
		{
			"a FIFO queue goes on behind the last slot of a chunk",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			one(dequeGo, "\td.head = 0\n\tif d.front == d.back {\n\t\td.last = d.last[:0]\n\t\treturn\n\t}",
				"\tif d.front == d.back {\n\t\td.head = 0\n\t\td.last = d.last[:0]\n\t\treturn\n\t}"),
		},
		{
			"a LIFO queue stays in a chunk that it has emptied",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			one(dequeGo, "\tif n == 0 {\n\t\td.leaveBack()\n\t}", ""),
		},
		{
			"a batch that leaves one item starts a FIFO queue's chunk anew",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(dequeGo, "if d.front == d.back && d.head == len(d.last) {", "if d.front == d.back && d.head >= len(d.last)-1 {"),
		},
		{
			"a priority queue overlooks the last of its items",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			one(heapGo, "child < len(items); child", "child+1 < len(items); child"),
		},
		{
			"a queue takes one item more than its capacity",
			"TestAShortQueueDoesWhatASliceDoesFromEveryPosition",
			one(queueGo, "return q.capacity > 0 && q.len >= q.capacity", "return q.capacity > 0 && q.len > q.capacity"),
		},
	}},
	{"drop-oldest drops another, or breaks the order", []fault{
		{
			"a FIFO or LIFO queue drops its newest",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			one(queueGo, "evicted = q.buf.PopFront()\n\tq.buf.PushBack(item)", "evicted = q.buf.PopBack()\n\tq.buf.PushBack(item)"),
		},
		{
			"the new item is the one that is dropped",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			one(queueGo, "evicted = q.buf.PopFront()\n\tq.buf.PushBack(item)\n\treturn evicted", "return item"),
		},
		{
			"a priority queue drops the item that leaves first",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			one(priorityGo, "evicted = q.heap.Exchange(item)", "evicted = q.heap.Pop()\n\tq.heap.Push(item)"),
		},
		{
			"a priority queue never drops the new item",
			"TestOverflowEvictsTheOldestAndKeepsTheOrder",
			one(heapGo, "if h.before(0, greatest) {", "if true {"),
		},
	}},
	{"a queue is called full or empty that is not", []fault{
		{
			"TryPut calls it full when it finds it locked",
			"TestWhoPutsBackWhatItTookIsNeverRefused",
			one(queueGo, "TryPut(item T) error {\n\tif !q.mu.TryLock() {\n\t\tlockContended(&q.mu)\n\t}",
				"TryPut(item T) error {\n\tif !q.mu.TryLock() {\n\t\treturn ErrFull\n\t}"),
		},
		{
			"TryGet calls it empty when it finds it locked",
			"TestWhoPutsBackWhatItTookIsNeverRefused",
			one(queueGo, "TryGet() (T, error) {\n\tif !q.mu.TryLock() {\n\t\tlockContended(&q.mu)\n\t}",
				"TryGet() (T, error) {\n\tif !q.mu.TryLock() {\n\t\treturn *new(T), ErrEmpty\n\t}"),
		},
	}},
	{"newcomers overtake those who wait, or starve them", []fault{
		{
			"a freed slot is left for whoever comes first",
			"TestNewcomersNeitherOvertakeNorStarveTheParked",
			one(queueGo, "if q.putters.head != nil {", "if q.putters.len > 10 {"),
		},
		{
			"whoever parked last is served first",
			"TestNewcomersNeitherOvertakeNorStarveTheParked",
			[]edit{
				{queueGo, "for w := q.putters.head; w != nil && !q.full(); w = q.putters.head {",
					"for w := q.putters.tail; w != nil && !q.full(); w = q.putters.tail {"},
				{waitGo, "\tw := l.head\n\tl.head = w.next\n\tif l.head == nil {\n\t\tl.tail = nil\n\t} else {\n\t\tl.head.prev, w.next = nil, nil\n\t}\n\tw.parked = false\n\tl.len--\n",
					"\tw := l.tail\n\tl.remove(w)\n"},
			},
		},
		{
			"an item is stored though a Get is parked for it",
			"TestParkedCallsAreServedFirstComeFirstServed",
			one(queueGo, "if q.getters.head != nil {\n\t\tw := q.getters.pop()", "if q.getters.len > 3 {\n\t\tw := q.getters.pop()"),
		},
	}},
	{"a lock is kept on an early return or a panic", []fault{
		{
			"TryPut keeps it when the queue is full",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			one(queueGo, "q.rejected++\n\t\tq.unlock()", "q.rejected++"),
		},
		{
			"Get keeps it when the queue is shut down",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			one(queueGo, "if q.shutdown {\n\t\tq.unlock()\n\t\treturn item, ErrShutdown", "if q.shutdown {\n\t\treturn item, ErrShutdown"),
		},
		{
			"TryGet and Peek keep it when there is nothing",
			"TestEachCallReturnsTheErrorOfTheQueuesState",
			one(queueGo, "err = ErrShutdown\n\t}\n\tq.unlock()", "err = ErrShutdown\n\t}"),
		},
		{
			"TaskDone keeps it when nothing is unfinished",
			"TestTaskDoneBeyondWhatWasPutIsRefusedAndChangesNothing",
			one(joinGo, "q.unlock()\n\t\treturn ErrTaskDone", "return ErrTaskDone"),
		},
		{
			"Join keeps it when nothing is unfinished",
			"TestJoinReturnsOnceAllIsDone",
			one(joinGo, "if q.unfinished == 0 {\n\t\tq.unlock()", "if q.unfinished == 0 {"),
		},
		{
			"compare panics as a put stores its item",
			"TestACompareThatFailsChangesNothingAndHarmsNobody",
			one(priorityGo, "defer q.undoUnless(&done)\n\tq.heap.Push(item)", "_ = done\n\tq.heap.Push(item)"),
		},
		{
			"compare panics as a Get takes its item",
			"TestACompareThatFailsChangesNothingAndHarmsNobody",
			one(priorityGo, "defer q.undoUnless(&done)\n\titem := q.heap.Pop()", "_ = done\n\titem := q.heap.Pop()"),
		},
		{
			"compare panics as an item is evicted",
			"TestACompareThatFailsChangesNothingAndHarmsNobody",
			one(priorityGo, "defer q.undoUnless(&done)\n\tevicted = q.heap.Exchange(item)", "_ = done\n\tevicted = q.heap.Exchange(item)"),
		},
		{
			"compare panics as items are moved, and they stay where they are",
			"TestACompareThatFailsChangesNothingAndHarmsNobody",
			one(priorityGo, "if !*done {\n\t\tq.heap.Undo()", "if !*done {"),
		},
		{
			"compare panics in the middle of a batch, whose items are gone",
			"TestACompareThatFailsChangesNothingAndHarmsNobody",
			one(priorityGo, "q.heap.Unpop(dst[n])", ""),
		},
		{
			"compare panics over a parked Put's item, in the call that makes room",
			"TestACompareThatFailsOnAParkedItemFailsThatPutAlone",
			one(priorityGo, "if w.fault = recover(); w.fault == nil {", "if true {"),
		},
	}},
	{"a batch deadlocks, or wakes one where many fit", []fault{
		{
			"a GetBatch that frees several slots lets one Put in",
			"TestGetBatchMakesRoomForAllThatFit",
			one(queueGo, "for w := q.putters.head; w != nil && !q.full(); w = q.putters.head {",
				"if w := q.putters.head; w != nil && !q.full() {"),
		},
		{
			"a PutBatch serves one of the Gets that are parked",
			"TestPutBatchServesEveryParkedGetItCan",
			one(batchGo, "for w := q.getters.head; w != nil && n < len(items); w = q.getters.head {",
				"if w := q.getters.head; w != nil && n < len(items) {"),
		},
		{
			"the rest of a PutBatch that served a Get parks beside free slots",
			"TestTheQueueDoesWhatAPlainModelDoes",
			one(batchGo, "\tn += q.storeAll(items[n:])", "\tif n == 0 || q.capacity == 0 {\n\t\tn += q.storeAll(items[n:])\n\t}"),
		},
		{
			"a PutBatch waits until there is room for all of it at once",
			"TestPutBatchGoesInAsRoomIsMadeAndKeepsItsPlace",
			one(batchGo, "n := q.room(len(items))", "n := q.room(len(items))\n\tif n < len(items) {\n\t\treturn 0\n\t}"),
		},
		{
			"a PutBatch loses its place each time that it waits",
			"TestPutBatchGoesInAsRoomIsMadeAndKeepsItsPlace",
			one(queueGo, "\t\tif w.moved == len(w.items) || w.fault != nil {",
				"\t\tif w.moved < len(w.items) && w.next != nil {\n\t\t\tq.putters.remove(w)\n\t\t\tq.putters.append(w)\n\t\t\tcontinue\n\t\t}\n\t\tif w.moved == len(w.items) || w.fault != nil {"),
		},
	}},
}
