// Command crawler reads a web site breadth first, one page of each host at a
// time, with workers that feed their own queue: go run ./examples/crawler
//
// The program serves the site itself: three hosts with cycles, errors and slow
// pages. An interrupt saves the remaining pages in a file, and the next run
// continues from there.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log"
	"maps"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

type page struct {
	Host, Path string
	Depth      int
}

// A crawler has two queues: pages by depth, and from there by host. All work is
// counted in the first: a page is done when it has been read and its links have
// been added. So one Join waits for all of it.
type crawler struct {
	fetch func(ctx context.Context, p page) (links []page, err error)
	found *queue.Queue[page]
	hosts *keyed.Fair[string, page]

	mu     sync.Mutex
	known  map[string]bool // by host and path
	failed atomic.Int64
}

func newCrawler(fetch func(context.Context, page) ([]page, error)) *crawler {
	return &crawler{
		fetch: fetch,
		found: queue.NewPriority(100, func(a, b page) int { return cmp.Compare(a.Depth, b.Depth) }),
		hosts: keyed.NewSerial[string, page](1),
		known: make(map[string]bool),
	}
}

// add queues a page unless it is known already. It never blocks: a worker that
// blocked on its own queue could not empty it.
func (c *crawler) add(p page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id := p.Host + p.Path; !c.known[id] {
		c.known[id] = true
		_ = c.found.Requeue(p) // it is shut down only when the workers have ended
	}
}

// run reads the pages that were added and all pages that they lead to, until ctx
// is done. It returns the pages that are left.
func (c *crawler) run(ctx context.Context, workers int) (left []page) {
	working, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { c.dispatch(working) })
	for range workers {
		all.Go(func() { c.work(working) })
	}
	_ = c.found.Join(ctx) // an error means that ctx has ended
	stop()
	all.Wait()
	left = c.found.Shutdown(true)
	for _, e := range c.hosts.Shutdown(true) {
		left = append(left, e.Value)
	}
	return left
}

// dispatch moves pages to the queues of their hosts, the least deep first.
func (c *crawler) dispatch(ctx context.Context) {
	for {
		p, err := c.found.Get(ctx)
		if err != nil {
			return
		}
		if c.hosts.Put(ctx, p.Host, p) != nil {
			_ = c.found.Requeue(p) // it is one of those that are left
			return
		}
	}
}

func (c *crawler) work(ctx context.Context) {
	for _, p := range c.hosts.Tasks(ctx) {
		links, err := c.fetch(ctx, p)
		switch {
		case err != nil && ctx.Err() != nil:
			_ = c.found.Requeue(p) // interrupted; before it is done
		case err != nil:
			c.failed.Add(1)
		}
		for _, link := range links {
			c.add(link)
		}
		_ = c.found.TaskDone()
	}
}

func main() {
	file := flag.String("rest", "crawler.rest", "`file` for the pages that are left after an interrupt")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file string) error {
	site := newSite()
	defer site.Close()
	c := newCrawler(site.fetch)
	var rest struct {
		Left  []page
		Known map[string]bool // those that are left among them
	}
	saved, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		c.add(page{Host: "a.test", Path: "/"})
	} else if err = errors.Join(err, json.Unmarshal(saved, &rest)); err != nil {
		return err
	}
	for _, p := range rest.Left {
		c.add(p)
	}
	maps.Copy(c.known, rest.Known)
	rest.Left = c.run(ctx, 8)
	log.Printf("%d pages known, %d failed, %d left; %v", len(c.known), c.failed.Load(), len(rest.Left), c.found)
	if len(rest.Left) == 0 {
		return os.RemoveAll(file)
	}
	rest.Known = c.known
	saved, _ = json.Marshal(rest) // cannot fail: strings, numbers and booleans
	return os.WriteFile(file, saved, 0o600)
}
