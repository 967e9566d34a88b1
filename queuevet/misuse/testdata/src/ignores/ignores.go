package ignores

import "github.com/boundq/queue"

func silenced(q *queue.Queue[int]) {
	q.TryPut(1) //queuevet:ignore the queue is unbounded, and never shut down
	//queuevet:ignore the items are numbers
	q.Shutdown(true)
}

func heard(q *queue.Queue[int]) {
	/* want `silences nothing without a reason; write it behind: //queuevet:ignore REASON` */ //queuevet:ignore
	q.TryPut(1)                                                                               // want `the error of TryPut`
	q.TryPut(1)                                                                               /* want `the error of TryPut` `silences nothing` */ //queuevet:ignore
	q.TryPut(1)                                                                               //queuevet:ignore one line, not the next
	q.TryPut(1)                                                                               // want `the error of TryPut`
	q.TryPut(1)                                                                               //queuevet:ignored is another word // want `the error of TryPut`
	//queuevet:ignore the next line alone

	q.TryPut(1) // want `the error of TryPut`
}
