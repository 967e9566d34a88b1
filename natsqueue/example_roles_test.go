package natsqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type mail struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// jsonLines is a codec. Without one, items are JSON as well.
type jsonLines struct{}

func (jsonLines) Marshal(item any) ([]byte, error) {
	data, err := json.Marshal(item)
	return append(data, '\n'), err
}

func (jsonLines) Unmarshal(data []byte, item any) error { return json.Unmarshal(data, item) }

// openMails opens the queue that the producer and the worker share.
func openMails(ctx context.Context, url, name string) (*natsqueue.Queue[mail], *nats.Conn, error) {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	q, err := natsqueue.Open[mail](ctx, js, name,
		natsqueue.WithCapacity(10_000),
		natsqueue.WithAckWait(10*time.Second),
		natsqueue.WithMaxDeliveries(5),
		natsqueue.WithDeadLetterLimit(1000, 30*24*time.Hour),
		natsqueue.WithCodec(jsonLines{}),
	)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return q, nc, nil
}

// A producer puts items. With an ID of its own, an item can safely be put again after
// a crash, within the duplicate window.
func Example_producer() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	q, nc, err := openMails(ctx, shared.ClientURL(), "mails")
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	defer q.Close()

	for i, to := range []string{"ada@example.com", "", "ada@example.com"} {
		id := fmt.Sprintf("order-%d", i%2)
		err := q.Put(ctx, mail{To: to, Text: "Your order is on its way."},
			natsqueue.PutID(id), natsqueue.PutHeader(nats.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}))
		switch {
		case errors.Is(err, natsqueue.ErrDuplicate):
			fmt.Println(id, "was put before")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(id, "is put")
		}
	}
	// Output:
	// order-0 is put
	// order-1 is put
	// order-0 was put before
}

// A worker processes several items at a time. An item that fails is retried later; one
// that can't succeed becomes a dead letter.
func Example_worker() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	q, nc, err := openMails(ctx, shared.ClientURL(), "mails-to-send")
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	defer q.Close()

	// This is the producer's part; a real worker goes on until its context ends.
	if _, err := q.PutBatch(ctx, []mail{{To: "ada@example.com"}, {To: ""}}); err != nil {
		log.Fatal(err)
	}
	if err := q.Shutdown(ctx, false); err != nil {
		log.Fatal(err)
	}
	send := func(_ context.Context, m mail) error {
		if m.To == "" {
			return natsqueue.Reject(errors.New("a mail to no address"))
		}
		fmt.Println("sent to", m.To)
		return nil
	}
	if err := q.Handle(ctx, 4, send); err != nil {
		log.Fatal(err)
	}
	for letter, err := range q.DeadLetters(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("rejected:", letter.Reason)
	}
	// Output:
	// sent to ada@example.com
	// rejected: a mail to no address
}
