// Command ingest takes rows by HTTP POST and writes them into SQLite in batches.
//
//	go run ./examples/ingest                        # posts to itself for three seconds
//	go run ./examples/ingest -addr localhost:8080   # printf 'a\nb\n' | curl --data-binary @- localhost:8080/rows
//
// The queue is limited in rows and in bytes; a POST that does not fit is accepted
// in part (429). On SIGTERM the program keeps writing queued rows for up to five
// seconds; rows that are left go to a file, which the next run reads back.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/promqueue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"
	_ "modernc.org/sqlite"
)

type server struct {
	db     *sql.DB
	rows   *queue.Queue[string]
	bytes  *semaphore.Weighted // of the rows that are queued or being written
	failed []string            // rows that the database refused
}

// post queues as many lines as fit, starting with the first.
func (s *server) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	rows, fit := lines(body), 0
	for fit < len(rows) && s.bytes.TryAcquire(int64(len(rows[fit]))) {
		fit++
	}
	n, err := s.rows.TryPutBatch(rows[:fit])
	s.release(rows[n:fit])
	if errors.Is(err, queue.ErrShutdown) {
		w.WriteHeader(http.StatusServiceUnavailable)
	} else if n < len(rows) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	fmt.Fprintf(w, "{\"accepted\":%d}\n", n)
}

func lines(text []byte) []string {
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
}

func (s *server) release(rows []string) {
	for _, row := range rows {
		s.bytes.Release(int64(len(row)))
	}
}

// write writes batches of 500 rows, or of the rows that came within 200 ms.
func (s *server) write(ctx context.Context) {
	for rows := range s.rows.Batches(ctx, 500, 200*time.Millisecond) {
		if err := s.insert(ctx, rows); err != nil {
			log.Println("insert:", err)
			s.failed = append(s.failed, rows...)
		}
		s.release(rows)
	}
}

func (s *server) insert(ctx context.Context, rows []string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the Commit
	for _, row := range rows {
		if _, err := tx.ExecContext(ctx, `INSERT INTO rows VALUES (?)`, row); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// serve accepts rows until ctx ends, then drains the queue.
func (s *server) serve(ctx context.Context, l net.Listener, rest string) error {
	alive := context.WithoutCancel(ctx) // the rows in the queue are written after ctx has ended
	saved, err := os.ReadFile(rest)
	if err == nil {
		if err = s.insert(alive, lines(saved)); err == nil {
			err = os.Remove(rest)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading back %s: %w", rest, err)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(promqueue.NewCollector("rows", s.rows))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("POST /rows", s.post)
	web, written := &http.Server{Handler: mux}, make(chan struct{})
	go func() { _ = web.Serve(l) }()
	go func() { defer close(written); s.write(alive) }()

	<-ctx.Done()
	draining, cancel := context.WithTimeout(alive, 5*time.Second)
	defer cancel()
	_ = web.Shutdown(draining) // requests in progress may still put
	s.rows.Shutdown(false)
	_ = s.rows.Join(draining)
	left := s.rows.Shutdown(true) // none, unless the time was up
	<-written
	if left = append(s.failed, left...); len(left) == 0 {
		return nil
	}
	return os.WriteFile(rest, []byte(strings.Join(left, "\n")+"\n"), 0o600)
}

func main() {
	addr := flag.String("addr", "", "serve on this `address`; without it, post to itself for three seconds")
	file := flag.String("db", ":memory:", "SQLite `file`")
	rest := flag.String("rest", "ingest.rest", "`file` for rows that were accepted and not written")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *file, *rest); err != nil {
		log.Fatal(err)
	}
}
