// Package metrics defines what packages promqueue and otelqueue export of a
// queue, so that both export the same and refuse the same.
//
// They are modules of their own, and a program may combine a release of theirs
// with any later one of this module. So the identifiers below are kept
// compatible as if the package were public.
package metrics

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	Name string // the field's name in snake case, as in JSON and in logs
	Unit string // as in OpenTelemetry: "{item}", "{call}", "{queue}" or "s"
	Kind Kind
	Help string
}

// Queue are the metrics of a queue in this process: up, and what
// [queue.Stats] has.
//
// [queue.Stats]: https://pkg.go.dev/github.com/boundq/queue#Stats
var Queue = []Metric{
	{"up", "{queue}", Gauge, "1 if the queue's statistics could be read, otherwise 0."},
	{"len", "{item}", Sum, "Items queued now."},
	{"cap", "{item}", Sum, "Most items that can be queued at a time. Absent if the queue is unbounded."},
	{"max_len", "{item}", Gauge, "Most items ever queued at a time."},
	{"unfinished", "{item}", Sum, "Items put and neither done nor dropped: those queued and those in progress."},
	{"put_waiting", "{call}", Sum, "Calls of producers blocked now, until there is room."},
	{"get_waiting", "{call}", Sum, "Calls of consumers blocked now, until there are items."},
	{"put", "{item}", Counter, "Items put. Always the sum of those received, dropped and queued."},
	{"got", "{item}", Counter, "Items received by consumers."},
	{"done", "{item}", Counter, "Items marked done."},
	{"dropped", "{item}", Counter, "Items that left the queue without being received: evicted, replaced or drained."},
	{"drained", "{item}", Counter, "Of the dropped items, those that an immediate shutdown returned to its caller."},
	{"rejected", "{item}", Counter, "Items refused because the queue was full."},
	{"put_blocked", "{call}", Counter, "Calls of producers that blocked because the queue was full."},
	{"get_blocked", "{call}", Counter, "Calls of consumers that blocked because the queue was empty."},
	{"shutdown", "{queue}", Sum, "1 if the queue was shut down, otherwise 0."},
}

// namespace is the first part of the metrics' names.
const namespace = "boundq"

// OpenTelemetry returns the metric's name in OpenTelemetry. Translated for
// Prometheus by OpenTelemetry's rules, it is what [Metric.Prometheus] returns.
func (m Metric) OpenTelemetry() string { return namespace + "." + m.Name }

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

// Read calls stats and returns the fields of the struct that it returns by their
// names in snake case: durations in seconds, truths as 0 or 1, and 1 for up. A
// capacity of 0 is left out: dividing by it would tell every alert that the
// queue is full.
//
// If stats returns an error, panics or ends its goroutine, Read returns an error,
// and 0 for up alone. A collection that panics takes more with it: Prometheus
// fails the scrape of the whole process, and OpenTelemetry ends the process.
func Read[S any](stats func() (S, error)) (values map[string]float64, err error) {
	err = errors.New("runtime.Goexit in Stats")
	done := make(chan struct{})
	go func() { // a goroutine that stats may end
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic in Stats: %v\n\n%s", v, debug.Stack())
			}
		}()
		s, e := stats()
		if e == nil {
			values = fields(s)
		}
		err = e
	}()
	<-done
	if err != nil {
		return map[string]float64{"up": 0}, err
	}
	values["up"] = 1
	return values, nil
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
