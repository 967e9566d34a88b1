// Package metrics defines the metrics that packages promqueue and otelqueue export,
// so that both export the same metrics and reject the same names and queues.
//
// They are separate modules, and a program may combine a release of them with any
// later release of this module. So the identifiers below are kept compatible as if
// the package were public.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/boundq/queue"
)

// A Kind says how a metric's values over time and over queues relate.
type Kind int

const (
	Counter Kind = iota // never falls while the queue lives
	Sum                 // goes up and down; adding it up over queues makes sense
	Gauge               // goes up and down; adding it up does not
)

// A Metric describes a number of a queue's statistics.
type Metric struct {
	namespace string

	Name string // the field's name in snake case, as in JSON and in logs
	Unit string // as in OpenTelemetry: "{item}", "{call}", "{queue}" or "s"
	Kind Kind
	Help string
}

// Queue are the metrics of a queue in this process: up, and what [queue.Stats]
// has.
var Queue = in("boundq",
	Metric{Name: "up", Unit: "{queue}", Kind: Gauge, Help: "1 if the queue's statistics could be read, otherwise 0."},
	Metric{Name: "len", Unit: "{item}", Kind: Sum, Help: "Items queued now."},
	Metric{Name: "cap", Unit: "{item}", Kind: Sum, Help: "Most items that can be queued at a time. Absent if the queue is unbounded."},
	Metric{Name: "max_len", Unit: "{item}", Kind: Gauge, Help: "Most items ever queued at a time."},
	Metric{Name: "unfinished", Unit: "{item}", Kind: Sum, Help: "Items put and neither done nor dropped: those queued and those in progress."},
	Metric{Name: "put_waiting", Unit: "{call}", Kind: Sum, Help: "Calls of producers blocked now, waiting for room."},
	Metric{Name: "get_waiting", Unit: "{call}", Kind: Sum, Help: "Calls of consumers blocked now, waiting for an item."},
	Metric{Name: "put", Unit: "{item}", Kind: Counter, Help: "Items put. Always the sum of those received, dropped and queued."},
	Metric{Name: "got", Unit: "{item}", Kind: Counter, Help: "Items received by consumers."},
	Metric{Name: "done", Unit: "{item}", Kind: Counter, Help: "Items marked done."},
	Metric{Name: "dropped", Unit: "{item}", Kind: Counter, Help: "Items that left the queue without being received: evicted, replaced or drained."},
	Metric{Name: "drained", Unit: "{item}", Kind: Counter, Help: "Of the dropped items, those that an immediate shutdown returned to its caller."},
	Metric{Name: "rejected", Unit: "{item}", Kind: Counter, Help: "Items rejected because the queue was full."},
	Metric{Name: "put_blocked", Unit: "{call}", Kind: Counter, Help: "Calls of producers that blocked because the queue was full."},
	Metric{Name: "get_blocked", Unit: "{call}", Kind: Counter, Help: "Calls of consumers that blocked because the queue was empty."},
	Metric{Name: "shutdown", Unit: "{queue}", Kind: Sum, Help: "1 if the queue was shut down, otherwise 0."},
)

// NATS are the metrics of a queue on a NATS server: up, and what natsqueue.Stats
// has. Every process that exports the queue exports the same numbers, so adding
// them up makes no sense.
var NATS = in("boundq.nats",
	Metric{Name: "up", Unit: "{queue}", Kind: Gauge, Help: "1 if the queue's statistics could be read from the server, otherwise 0."},
	Metric{Name: "len", Unit: "{item}", Kind: Gauge, Help: "Items queued now, over all processes."},
	Metric{Name: "cap", Unit: "{item}", Kind: Gauge, Help: "Most items that can be unfinished at a time. Absent if the queue is unbounded."},
	Metric{Name: "in_flight", Unit: "{item}", Kind: Gauge, Help: "Items being processed, or returned and not yet redelivered."},
	Metric{Name: "unfinished", Unit: "{item}", Kind: Gauge, Help: "Items put and not done: those queued and those in flight."},
	Metric{Name: "put", Unit: "{item}", Kind: Counter, Help: "Items put since the queue was created."},
	Metric{Name: "done", Unit: "{item}", Kind: Counter, Help: "Items done, rejected or drained."},
	Metric{Name: "delivered", Unit: "{item}", Kind: Counter, Help: "Deliveries of items to workers, redeliveries included."},
	Metric{Name: "redelivered", Unit: "{item}", Kind: Counter, Help: "Deliveries of items that had been delivered before."},
	Metric{Name: "dead_letters", Unit: "{item}", Kind: Gauge, Help: "Rejected items that have not been removed."},
	Metric{Name: "waiting", Unit: "{call}", Kind: Gauge, Help: "Pull requests of blocked workers at the server."},
	Metric{Name: "oldest", Unit: "s", Kind: Gauge, Help: "Age of the oldest unfinished item, 0 if there is none."},
	Metric{Name: "shutdown", Unit: "{queue}", Kind: Gauge, Help: "1 if the queue was shut down, otherwise 0."},
)

func in(namespace string, metrics ...Metric) []Metric {
	for i := range metrics {
		metrics[i].namespace = namespace
	}
	return metrics
}

// OpenTelemetry returns the metric's name in OpenTelemetry. Translated for
// Prometheus by OpenTelemetry's rules, it is what [Metric.Prometheus] returns.
func (m Metric) OpenTelemetry() string { return m.namespace + "." + m.Name }

// Prometheus returns the metric's name in Prometheus.
func (m Metric) Prometheus() string {
	name := strings.ReplaceAll(m.OpenTelemetry(), ".", "_")
	if m.Unit == "s" {
		name += "_seconds"
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// CheckName returns an error if name can't be the name of a queue in metrics.
func CheckName(name string) error {
	if name == "" {
		return errors.New("name must not be empty")
	}
	if !utf8.ValidString(name) { // a single such name makes a whole OTLP export fail
		return fmt.Errorf("name must be valid UTF-8: %q", name)
	}
	return nil
}

// IsNil reports whether v is nil, or an interface that holds a nil.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Chan, reflect.Func, reflect.Map, reflect.Pointer, reflect.Slice:
		return r.IsNil()
	default:
		return false
	}
}

// Timeout is how long a collection waits for the statistics. It is half of what
// Prometheus allows for the whole process by default.
const Timeout = 5 * time.Second

// Reader returns a function that calls stats and returns the fields of the
// struct that it returns by their names in snake case: durations in seconds,
// truths as 0 or 1, and 1 for up. A capacity of 0 is left out: dividing by it
// would tell every alert that the queue is full.
//
// If stats returns an error, panics, ends its goroutine or does not return
// within [Timeout], the function returns an error, and 0 for up alone. A
// collection that did the same would take more with it: Prometheus fails the
// scrape of the whole process, and OpenTelemetry ends the process.
func Reader[S any](stats func(context.Context) (S, error)) func(context.Context) (map[string]float64, error) {
	var late atomic.Pointer[chan struct{}] // closed once the last call that was late has returned
	return func(ctx context.Context) (map[string]float64, error) {
		down := map[string]float64{"up": 0}
		if l := late.Load(); l != nil {
			select {
			case <-*l:
			default: // not one more goroutine for each collection
				return down, errors.New("an earlier call of Stats has not returned")
			}
		}
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		defer cancel()
		var values map[string]float64
		err := errors.New("runtime.Goexit in Stats")
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic in Stats: %v\n\n%s", v, debug.Stack())
				}
			}()
			s, e := stats(ctx)
			if e == nil {
				values = fields(s)
			}
			err = e
		}()
		select {
		case <-done:
		case <-ctx.Done():
			late.Store(&done)
			return down, fmt.Errorf("no answer from Stats: %w", ctx.Err())
		}
		if err != nil {
			return down, err
		}
		values["up"] = 1
		return values, nil
	}
}

// Local is [Reader] for a queue in this process.
func Local(q interface{ Stats() queue.Stats }) func(context.Context) (map[string]float64, error) {
	return Reader(func(context.Context) (queue.Stats, error) { return q.Stats(), nil })
}

func fields(s any) map[string]float64 {
	values := make(map[string]float64)
	r := reflect.ValueOf(s)
	for i := range r.NumField() {
		field, v := r.Type().Field(i), r.Field(i)
		name := snake(field.Name)
		switch {
		case field.Type == reflect.TypeFor[time.Duration]():
			values[name] = time.Duration(v.Int()).Seconds()
		case v.CanInt():
			values[name] = float64(v.Int())
		case v.CanUint():
			values[name] = float64(v.Uint())
		case v.Kind() == reflect.Bool && v.Bool():
			values[name] = 1
		case v.Kind() == reflect.Bool:
			values[name] = 0
		}
	}
	if values["cap"] == 0 {
		delete(values, "cap")
	}
	return values
}

// snake returns the name of a field in snake case: max_len for MaxLen.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
