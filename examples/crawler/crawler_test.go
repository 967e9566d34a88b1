package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A tree is a site in memory: page n links to 2n and 2n+1, on the other host,
// and back to the first.
type tree struct {
	size    int
	mu      sync.Mutex
	read    map[string]int
	reading map[string]int // by host
}

func (s *tree) fetch(ctx context.Context, p page) (links []page, err error) {
	s.mu.Lock()
	s.reading[p.Host]++
	if s.reading[p.Host] > 1 {
		err = fmt.Errorf("two pages of %s at a time", p.Host)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.reading[p.Host]--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read[p.Path]++
	var n int
	_, _ = fmt.Sscan(p.Path, &n)
	for _, child := range []int{1, 2 * n, 2*n + 1} {
		if child <= s.size {
			links = append(links, page{[]string{"even", "odd"}[child%2], fmt.Sprint(child), p.Depth + 1})
		}
	}
	return links, err
}

func newTree(size int) *tree {
	return &tree{size: size, read: map[string]int{}, reading: map[string]int{}}
}

func TestCrawlerReadsEveryPageOnceAndOneOfAHostAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newTree(500) // more than the queue holds
		c := newCrawler(site.fetch)
		c.add(page{"odd", "1", 0})
		require.Empty(t, c.run(t.Context(), 4))
		require.Zero(t, c.failed.Load())
		require.Len(t, site.read, 500)
		for path, times := range site.read {
			require.Equal(t, 1, times, path)
		}
	})
}

func TestCrawlerReturnsWhatAnInterruptLeavesAndGoesOnFromThere(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 3 * time.Second, 20*time.Second + 1, 70 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			site := newTree(200)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			c := newCrawler(site.fetch)
			c.add(page{"odd", "1", 0})
			left := c.run(ctx, 4)
			require.NotEmpty(t, left)
			next := newCrawler(site.fetch)
			for _, p := range left {
				assert.Zero(t, site.read[p.Path], "%v was read", p)
				next.add(p)
			}
			next.known = c.known
			require.Empty(t, next.run(t.Context(), 4))
			require.Len(t, site.read, 200)
			for path, times := range site.read {
				require.Equal(t, 1, times, path)
			}
		})
	}
}

func TestCrawlerCommandReadsItsOwnSite(t *testing.T) {
	rest := filepath.Join(t.TempDir(), "rest")
	require.NoError(t, run(t.Context(), rest))
	require.NoFileExists(t, rest)

	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, run(stopped, rest))
	saved, err := os.ReadFile(rest)
	require.NoError(t, err)
	require.JSONEq(t, `{"Left":[{"Host":"a.test","Path":"/","Depth":0}],"Known":{"a.test/":true}}`, string(saved))
	require.NoError(t, run(t.Context(), rest))
	require.NoFileExists(t, rest)
}
