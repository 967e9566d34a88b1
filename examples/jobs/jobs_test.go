package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBad = errors.New("bad")

// serving runs a test in a bubble beside a runner, which it ends.
func serving(t *testing.T, workers int, test func(t *testing.T, r *runner, served <-chan error)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newRunner(100)
		served := make(chan error, 1)
		go func() { served <- r.serve(ctx, settings{workers, time.Second}, time.Hour) }()
		test(t, r, served)
		cancel()
		synctest.Wait()
	})
}

// takes returns a job that takes some time and appends its name to order.
func takes(d time.Duration, order *[]string, name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		*order = append(*order, name)
		time.Sleep(d)
		return name, nil
	}
}

func TestRunnerRunsUrgentJobsFirstAndTenantsInTurn(t *testing.T) {
	serving(t, 1, func(t *testing.T, r *runner, _ <-chan error) {
		var order []string
		submit := func(tenant, name string, urgent bool) {
			go func() {
				value, err := r.submit(t.Context(), job{tenant: tenant, urgent: urgent, do: takes(time.Second, &order, name)})
				assert.NoError(t, err)
				assert.Equal(t, name, value)
			}()
			synctest.Wait()
		}
		submit("a", "a1", false) // takes the worker
		submit("a", "a2", false)
		submit("a", "a3", false)
		submit("b", "b1", false)
		submit("b", "urgent", true)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a1", "urgent", "a2", "b1", "a3"}, order)
	})
}

func TestRunnerRetriesWithBackoff(t *testing.T) {
	serving(t, 1, func(t *testing.T, r *runner, _ <-chan error) {
		began, tries := time.Now(), 0
		try := func(context.Context) (string, error) {
			if tries++; tries < 4 {
				return "", errBad
			}
			return "at last", nil
		}
		value, err := r.submit(t.Context(), job{retries: 3, do: try})
		require.NoError(t, err)
		require.Equal(t, "at last", value)
		require.Equal(t, 7*time.Second, time.Since(began))

		tries = 0
		_, err = r.submit(t.Context(), job{retries: 2, do: try})
		require.Equal(t, errBad, err)
	})
}

func TestRunnerGivesUpAtTheDeadline(t *testing.T) {
	serving(t, 1, func(t *testing.T, r *runner, _ <-chan error) {
		began := time.Now()
		_, err := r.submit(t.Context(), job{retries: 100, deadline: began.Add(5 * time.Second), do: func(context.Context) (string, error) { return "", errBad }})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errBad)
		require.Equal(t, 5*time.Second, time.Since(began))
		_, err = r.submit(t.Context(), job{deadline: began, do: func(context.Context) (string, error) { panic("begun too late") }})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRunnerTakesNewSettingsWhileItIsBusy(t *testing.T) {
	serving(t, 1, func(t *testing.T, r *runner, _ <-chan error) {
		var begun atomic.Int64
		for range 3 {
			go func() {
				_, _ = r.submit(t.Context(), job{do: func(context.Context) (string, error) {
					begun.Add(1)
					time.Sleep(time.Hour)
					return "", nil
				}})
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 1, begun.Load())
		r.reload <- settings{3, time.Second}
		synctest.Wait()
		require.EqualValues(t, 3, begun.Load())
		time.Sleep(time.Hour)
	})
}

func TestRunnerStopsAtTheFirstCriticalFailureAndEverySubmitterHears(t *testing.T) {
	serving(t, 1, func(t *testing.T, r *runner, served <-chan error) {
		critical, other := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := r.submit(t.Context(), job{critical: true, do: func(context.Context) (string, error) { time.Sleep(time.Second); return "", errBad }})
			critical <- err
		}()
		synctest.Wait()
		go func() {
			_, err := r.submit(t.Context(), job{do: func(context.Context) (string, error) { panic("begun") }})
			other <- err
		}()
		require.Equal(t, errBad, <-critical)
		require.ErrorIs(t, <-other, errStopped)
		require.ErrorIs(t, <-served, errBad)
		_, err := r.submit(t.Context(), job{})
		require.ErrorIs(t, err, errStopped)
	})
}

func TestDemoEndsWithItsCriticalJob(t *testing.T) {
	require.ErrorContains(t, demo(t.Context()), "critical job of small: the disk is full")
}
