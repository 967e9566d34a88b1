package natsqueue

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	consumerName = "workers"
	subjectRoot  = "natsqueue."
	allItems     = ".>"
	deadSuffix   = "_dead"

	ownerKey      = "natsqueue"            // in the metadata of every stream of this package
	shutdownKey   = "natsqueue-shutdown"   // there, while and after Shutdown(true) empties the queue
	prioritiesKey = "natsqueue-priorities" // there, the number of classes; absent for one

	notBeforeHeader = "Natsqueue-Not-Before" // of an item that was put with a delay

	ackMetric     = "$JS.EVENT.METRIC.CONSUMER.ACK."
	streamUpdated = "$JS.EVENT.ADVISORY.STREAM.UPDATED."
	leaderElected = "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED."

	maxPulls = 1 << 16 // pull requests that the server keeps, over all handles; its default of 512 is a small fleet
)

// A serverVersion is the first two numbers of a server's version.
type serverVersion struct{ major, minor int }

var (
	oldestServer = serverVersion{2, 12}
	fastServer   = serverVersion{2, 14} // knows fast batches
)

func (v serverVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v serverVersion) before(other serverVersion) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

// parseVersion returns the version that a server states, and an error if it is
// too old. Before 2.12, some errors of a cluster never end.
func parseVersion(stated string) (v serverVersion, err error) {
	if _, err := fmt.Sscanf(strings.TrimPrefix(stated, "v"), "%d.%d", &v.major, &v.minor); err != nil {
		return v, fmt.Errorf("the server states no version, but %q", stated)
	}
	if v.before(oldestServer) {
		return v, fmt.Errorf("the server's version is %s and must be at least %v", stated, oldestServer)
	}
	return v, nil
}

func (c config) stream(name string, version serverVersion) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:        name,
		Description: "A queue of package natsqueue",
		Subjects:    []string{subjectRoot + name + allItems},
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxMsgs:     -1,
		Replicas:    max(c.replicas, 1),
		Duplicates:  max(c.duplicates, 0),
		Placement:   c.placement,
		MaxBytes:    -1,
		Metadata:    map[string]string{ownerKey: "queue"},

		AllowBatchPublish: !version.before(fastServer),
	}
	if c.duplicates == 0 {
		s.Duplicates = defaultWindow
	}
	if c.maxBytes > 0 {
		s.MaxBytes = c.maxBytes
	}
	if c.capacity > 0 {
		s.MaxMsgs = int64(c.capacity)
	}
	if c.memory {
		s.Storage = jetstream.MemoryStorage
	}
	if c.priorities > 1 {
		s.Metadata[prioritiesKey] = strconv.Itoa(c.priorities)
		s.Subjects = nil // a message of any other would take a slot, and go to no consumer
		for class := range c.priorities {
			s.Subjects = append(s.Subjects, itemSubject(name, class))
		}
	}
	return s
}

// itemSubject returns the subject of the items of a class in the stream name.
func itemSubject(name string, class int) string {
	return subjectRoot + name + "." + strconv.Itoa(class)
}

// classOf returns the class that a subject names, 0 if it names none.
func classOf(subject string) int {
	class, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
	if err != nil || class < 0 {
		return 0
	}
	return class
}

// prioritiesOf returns the number of classes of the queue in a stream.
func prioritiesOf(s jetstream.StreamConfig) (int, error) {
	text, ok := s.Metadata[prioritiesKey]
	if !ok {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostPriorities {
		return 0, fmt.Errorf("the stream's metadata has %q as the number of priorities", text)
	}
	return n, nil
}

func (c config) deadLetters(name string, of jetstream.StreamConfig) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:        name + deadSuffix,
		Description: "Dead letters of the queue " + name,
		Subjects:    []string{subjectRoot + name + deadSuffix + allItems},
		Storage:     of.Storage,
		Replicas:    of.Replicas,
		Placement:   c.placement,
		MaxMsgs:     -1,
		MaxAge:      c.deadAge,
		Duplicates:  of.Duplicates,
		Metadata:    map[string]string{ownerKey: "dead letters"},
	}
	if s.MaxAge > 0 {
		s.Duplicates = min(s.Duplicates, s.MaxAge) // the server refuses a longer window
	}
	if c.deadCount > 0 {
		s.MaxMsgs = int64(c.deadCount)
	}
	if of.MaxBytes > 0 {
		s.MaxBytes = of.MaxBytes // where the account requires a bound for one, it does for all
	}
	return s
}

// consumer returns the configuration of the consumer of a class, one of so many,
// that all workers share. MaxDeliver stays unset: a message that has used up its
// deliveries would stay in the stream for ever, take a slot and hold up Join.
func (c config) consumer(name string, class, priorities int) jetstream.ConsumerConfig {
	s := jetstream.ConsumerConfig{
		Durable:         consumerName,
		AckPolicy:       jetstream.AckExplicitPolicy,
		AckWait:         30 * time.Second,
		MaxAckPending:   -1,
		MaxWaiting:      maxPulls,
		SampleFrequency: "100", // a blocked Put listens for it; costs nothing without a listener
	}
	if priorities > 1 {
		s.Durable += "-" + strconv.Itoa(class)
		s.FilterSubject = itemSubject(name, class)
	}
	if c.ackWait > 0 {
		s.AckWait = c.ackWait
	}
	if c.maxInFlight > 0 {
		s.MaxAckPending = c.maxInFlight
	}
	return s
}

func (c config) matchStream(s jetstream.StreamConfig) error {
	priorities, err := prioritiesOf(s)
	switch {
	case s.Metadata[ownerKey] != "queue":
		return errors.New("there is a stream of this name that is not a queue")
	case err != nil:
		return err
	case c.priorities > 0 && c.priorities != priorities:
		return differs("number of priorities", priorities, c.priorities)
	case c.maxInFlight > 0 && priorities > 1:
		return errMaxInFlight
	case c.capacity > 0 && s.MaxMsgs != int64(c.capacity):
		return differs("capacity", s.MaxMsgs, c.capacity)
	case c.replicas > 0 && s.Replicas != c.replicas:
		return differs("number of replicas", s.Replicas, c.replicas)
	case c.maxBytes > 0 && s.MaxBytes != c.maxBytes:
		return differs("number of bytes", s.MaxBytes, c.maxBytes)
	case c.duplicates > 0 && s.Duplicates != c.duplicates:
		return differs("duplicate window", s.Duplicates, c.duplicates)
	case c.placement != nil && describe(c.placement) != describe(s.Placement):
		return differs("placement", describe(s.Placement), describe(c.placement))
	case c.memory && s.Storage != jetstream.MemoryStorage:
		return differs("storage", s.Storage, jetstream.MemoryStorage)
	}
	return nil
}

// describe returns a placement in words.
func describe(p *jetstream.Placement) string {
	if p == nil || p.Cluster == "" && len(p.Tags) == 0 {
		return "any"
	}
	return fmt.Sprintf("cluster %q, tags %q", p.Cluster, slices.Sorted(slices.Values(p.Tags)))
}

func (c config) matchDeadLetters(s, of jetstream.StreamConfig) error {
	switch {
	case s.Metadata[ownerKey] != "dead letters":
		return fmt.Errorf("there is a stream %s that is not for its dead letters", s.Name)
	case s.Replicas != of.Replicas:
		return fmt.Errorf("the queue has %d replicas, and its dead letters have %d", of.Replicas, s.Replicas)
	case c.deadCount > 0 && s.MaxMsgs != int64(c.deadCount):
		return differs("limit of dead letters", s.MaxMsgs, c.deadCount)
	case c.deadAge > 0 && s.MaxAge != c.deadAge:
		return differs("longest age of dead letters", s.MaxAge, c.deadAge)
	}
	return nil
}

func (c config) matchConsumer(s jetstream.ConsumerConfig) error {
	switch {
	case c.ackWait > 0 && s.AckWait != c.ackWait:
		return differs("ack wait", s.AckWait, c.ackWait)
	case c.maxInFlight > 0 && s.MaxAckPending != c.maxInFlight:
		return differs("number of items in flight", int64(s.MaxAckPending), c.maxInFlight)
	}
	return nil
}

func differs(what string, is, asked any) error {
	if n, ok := is.(int64); ok && n < 0 {
		return fmt.Errorf("the queue exists, and its %s has no bound, and %v was asked for", what, asked)
	}
	return fmt.Errorf("the queue exists, and its %s is %v, not %v", what, is, asked)
}
