package main

import (
	"context"
	"database/sql"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/boundq/queue"
	"golang.org/x/sync/semaphore"
)

// open opens the database and makes a server of at most so many rows and bytes.
func open(ctx context.Context, file string, rows int, bytes int64) (*server, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection to :memory: is a database of its own
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS rows (line TEXT)`); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &server{db: db, rows: queue.New[string](rows), bytes: semaphore.NewWeighted(bytes)}, nil
}

func run(ctx context.Context, addr, file, rest string) error {
	s, err := open(ctx, file, 10_000, 1<<20)
	if err != nil {
		return err
	}
	defer func() { _ = s.db.Close() }()
	demo := addr == ""
	if demo {
		addr = "localhost:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String() + "/rows"
	log.Println("serving", url)
	if demo {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		go load(ctx, url)
	}
	if err := s.serve(ctx, l, rest); err != nil {
		return err
	}
	var stored int
	if err := s.db.QueryRow(`SELECT count(*) FROM rows`).Scan(&stored); err != nil {
		return err
	}
	log.Printf("stored %d rows; %v", stored, s.rows)
	return nil
}

// load posts a thousand rows at a time, more than are written.
func load(ctx context.Context, url string) {
	body := strings.Repeat("BTC 90006.62 0.01\n", 1000)
	for ctx.Err() == nil {
		r, err := http.Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			return
		}
		_ = r.Body.Close()
	}
}
