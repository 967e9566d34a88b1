// Command jobs runs jobs of several tenants in turn, urgent ones first, with
// retries, deadlines and results: go run ./examples/jobs
//
// Each lane is a keyed.Fair, so no tenant delays another. One loop receives from
// both lanes, a ticker and a channel of new settings. The first critical job that
// fails stops the runner, and every submitter gets an error.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/boundq/queue/keyed"
	"golang.org/x/sync/errgroup"
)

var errStopped = errors.New("jobs: the runner has stopped")

type job struct {
	tenant   string
	urgent   bool
	critical bool      // if it fails for good, the runner stops
	deadline time.Time // zero if there is none
	retries  int
	do       func(ctx context.Context) (string, error)
	result   chan result
}

type result struct {
	value string
	err   error
}

type settings struct {
	workers int
	backoff time.Duration // before the first retry; it doubles with each
}

type lane = keyed.Fair[string, *job]

type runner struct {
	urgent, normal *lane
	reload         chan settings
}

func newRunner(perTenant int) *runner {
	return &runner{keyed.NewFair[string, *job](perTenant), keyed.NewFair[string, *job](perTenant), make(chan settings)}
}

func (r *runner) lane(j *job) *lane {
	if j.urgent {
		return r.urgent
	}
	return r.normal
}

// submit queues a job and returns its result. It blocks while the tenant has too
// many jobs queued, and then until the job or ctx is done.
func (r *runner) submit(ctx context.Context, j job) (string, error) {
	j.result = make(chan result, 1) // buffered: a submitter that gave up blocks no worker
	if err := r.lane(&j).Put(ctx, j.tenant, &j); err != nil {
		return "", errors.Join(errStopped, err)
	}
	select {
	case done := <-j.result:
		return done.value, done.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// serve runs jobs until ctx is done or a critical job fails. The result of jobs
// that were not started is errStopped.
func (r *runner) serve(ctx context.Context, now settings, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	group, working := errgroup.WithContext(ctx)
	running, ended := 0, make(chan struct{})
	for working.Err() == nil {
		for ; running < now.workers && r.start(working, group, ended, now.backoff); running++ {
		}
		urgent, normal := r.urgent.Ready(), r.normal.Ready()
		if running >= now.workers {
			urgent, normal = nil, nil // until a worker is free
		}
		select {
		case <-urgent:
		case <-normal:
		case <-ended:
			running--
		case now = <-r.reload:
		case <-ticker.C:
			log.Printf("%d running, %d urgent and %d normal jobs queued", running, r.urgent.Len(), r.normal.Len())
		case <-working.Done():
		}
	}
	err := group.Wait()
	for _, e := range append(r.urgent.Shutdown(true), r.normal.Shutdown(true)...) {
		e.Value.result <- result{err: errStopped}
	}
	return err
}

// start starts the job whose turn it is, and reports whether there is one.
func (r *runner) start(ctx context.Context, group *errgroup.Group, ended chan<- struct{}, backoff time.Duration) bool {
	_, j, err := r.urgent.TryGet()
	if err != nil {
		_, j, err = r.normal.TryGet()
	}
	if err != nil {
		return false
	}
	group.Go(func() error {
		value, err := j.run(ctx, backoff)
		j.result <- result{value, err}
		_ = r.lane(j).TaskDone(j.tenant)
		if err != nil && j.critical { // without telling serve, which would start another job
			return fmt.Errorf("critical job of %s: %w", j.tenant, err)
		}
		select {
		case ended <- struct{}{}:
		case <-ctx.Done(): // serve has left its loop
		}
		return nil
	})
	return true
}

// run tries a job until it succeeds, its retries are used up or its deadline has
// passed. A job that backs off keeps its worker.
func (j *job) run(ctx context.Context, backoff time.Duration) (value string, err error) {
	if !j.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, j.deadline)
		defer cancel()
	}
	for try := 0; ctx.Err() == nil; try++ {
		if value, err = j.do(ctx); err == nil || try == j.retries {
			return value, err
		}
		select {
		case <-time.After(backoff << try):
		case <-ctx.Done():
		}
	}
	return "", errors.Join(ctx.Err(), err)
}
