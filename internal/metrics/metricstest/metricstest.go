// Package metricstest has the queues that the tests of packages promqueue and
// otelqueue export: both must treat them alike.
package metricstest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/boundq/queue"
)

// A Queue is what both packages export.
type Queue interface{ Stats() queue.Stats }

// StatsFunc is a queue that consists of its statistics.
type StatsFunc func() queue.Stats

func (f StatsFunc) Stats() queue.Stats { return f() }

// Pointer is a queue whose Stats does without the value that p points to.
type Pointer struct{}

func (p *Pointer) Stats() queue.Stats { return queue.Stats{} }

// List is a queue that is a slice.
type List []string

func (l List) Stats() queue.Stats { return queue.Stats{Len: len(l)} }

// Stats has a different number in each field.
var Stats = queue.Stats{
	Len: 3, Cap: 4, MaxLen: 5, Unfinished: 6, PutWaiting: 7, GetWaiting: 8, Put: 9, Got: 10, Done: 11,
	Dropped: 12, Drained: 13, Rejected: 14, PutBlocked: 15, GetBlocked: 16, Shutdown: true,
}

// Values are the metrics of a queue that returns Stats, by their names in
// Prometheus without the namespace.
var Values = map[string]float64{
	"up":                1,
	"len":               3,
	"cap":               4,
	"max_len":           5,
	"unfinished":        6,
	"put_waiting":       7,
	"get_waiting":       8,
	"put_total":         9,
	"got_total":         10,
	"done_total":        11,
	"dropped_total":     12,
	"drained_total":     13,
	"rejected_total":    14,
	"put_blocked_total": 15,
	"get_blocked_total": 16,
	"shutdown":          1,
}

// Refused are queues that are refused, and the errors without the packages'
// names.
var Refused = map[string]struct {
	Name  string
	Queue Queue
	Error string
}{
	"empty name":             {"", queue.New[int](1), "name must not be empty"},
	"name in Latin-1":        {"Auftr\xe4ge", queue.New[int](1), `name must be valid UTF-8: "Auftr\xe4ge"`},
	"half a surrogate pair":  {"\xed\xa0\x80", queue.New[int](1), `name must be valid UTF-8: "\xed\xa0\x80"`},
	"character cut short":    {"€"[:2], queue.New[int](1), `name must be valid UTF-8: "\xe2\x82"`},
	"nil":                    {"trades", nil, "q must not be nil"},
	"nil *Queue":             {"trades", (*queue.Queue[int])(nil), "q must not be nil"},
	"nil of another pointer": {"trades", (*Pointer)(nil), "q must not be nil"},
	"nil function":           {"trades", StatsFunc(nil), "q must not be nil"},
	"nil slice":              {"trades", List(nil), "q must not be nil"},
}

// Accepted are names that look odd and are good.
var Accepted = []string{
	`job "α"`, "two\nlines", `C:\jobs`, "a\x00b", " ", "{queue=}", "\uFFFD", "日本語", "%s", strings.Repeat("long", 5000),
}

// Failing are queues whose Stats doesn't return, and a part of the error that is
// reported.
var Failing = map[string]struct {
	Queue Queue
	Error string
}{
	"panics":              {StatsFunc(func() queue.Stats { panic("no statistics") }), "panic in Stats: no statistics"},
	"embeds a nil *Queue": {struct{ *queue.Queue[int] }{}, "panic in Stats: runtime error: invalid memory address"},
	"ends its goroutine":  {StatsFunc(func() queue.Stats { runtime.Goexit(); return queue.Stats{} }), "runtime.Goexit in Stats"},
}

// NATSStats has the fields of natsqueue.Stats, with a different number in each.
type NATSStats struct {
	Len, Cap, InFlight, Unfinished    int
	Put, Done, Delivered, Redelivered uint64
	DeadLetters, Waiting              int
	Oldest                            time.Duration
	Shutdown                          bool
}

// NATS is a queue on a server that answers with Error, or else with numbers.
type NATS struct{ Error error }

func (q *NATS) Stats(ctx context.Context) (NATSStats, error) {
	if _, limited := ctx.Deadline(); !limited {
		return NATSStats{}, errors.New("a context without a deadline")
	}
	return NATSStats{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1500 * time.Millisecond, true}, q.Error
}

// NATSValues are the metrics of a NATS queue without error, by their names in
// Prometheus without the namespace.
var NATSValues = map[string]float64{
	"up":                1,
	"len":               2,
	"cap":               3,
	"in_flight":         4,
	"unfinished":        5,
	"put_total":         6,
	"done_total":        7,
	"delivered_total":   8,
	"redelivered_total": 9,
	"dead_letters":      10,
	"waiting":           11,
	"oldest_seconds":    1.5,
	"shutdown":          1,
}
