package natsqueue

import "context"

// The two halves of Get, for tests of what happens between them.

func (q *Queue[T]) Want()                                       { q.want() }
func (q *Queue[T]) Await(ctx context.Context) (*Task[T], error) { return q.await(ctx) }
func (q *Queue[T]) Ready() int                                  { return q.ready.Len() }

// CloseLine makes the line for room one in which somebody waits for a turn.
func (q *Queue[T]) CloseLine() { q.line.refused(q.line.join()) }

// InLine returns how many calls of Put try or wait for their turn.
func (q *Queue[T]) InLine() int {
	q.line.mu.Lock()
	defer q.line.mu.Unlock()
	return q.line.trying + len(q.line.waiting)
}
