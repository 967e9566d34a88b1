package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t *testing.T, rows int, bytes int64) *server {
	t.Helper()
	s, err := open(t.Context(), ":memory:", rows, bytes)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.db.Close()) })
	return s
}

func (s *server) stored(t *testing.T) (rows []string) {
	t.Helper()
	found, err := s.db.Query(`SELECT line FROM rows ORDER BY rowid`)
	require.NoError(t, err)
	defer func() { require.NoError(t, found.Close()) }()
	for found.Next() {
		var row string
		require.NoError(t, found.Scan(&row))
		rows = append(rows, row)
	}
	require.NoError(t, found.Err())
	return rows
}

func post(s *server, body string) (status int, answer string) {
	w := httptest.NewRecorder()
	s.post(w, httptest.NewRequest(http.MethodPost, "/rows", strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestPostAcceptsTheLinesThatFitInRowsAndInBytes(t *testing.T) {
	for name, c := range map[string]struct {
		rows  int
		bytes int64
		body  string
		code  int
		want  string
		queue int
	}{
		"all":          {10, 100, "a\nb\r\nc\n", http.StatusOK, `{"accepted":3}`, 3},
		"none":         {10, 100, "", http.StatusOK, `{"accepted":0}`, 0},
		"two rows":     {2, 100, "a\nb\nc\n", http.StatusTooManyRequests, `{"accepted":2}`, 2},
		"four bytes":   {10, 4, "aa\nbb\ncc\n", http.StatusTooManyRequests, `{"accepted":2}`, 2},
		"a large line": {10, 4, "a\nbbbbb\nc\n", http.StatusTooManyRequests, `{"accepted":1}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.rows, c.bytes)
			code, answer := post(s, c.body)
			require.Equal(t, c.code, code)
			require.Equal(t, c.want, answer)
			require.Equal(t, c.queue, s.rows.Len())

			s.rows.Shutdown(false)
			s.write(t.Context())
			require.Len(t, s.stored(t), c.queue)
			require.True(t, s.bytes.TryAcquire(c.bytes), "bytes were not released")
			code, _ = post(s, "late")
			require.Equal(t, http.StatusTooManyRequests, code, "the bytes are taken")
			s.bytes.Release(c.bytes)
			code, _ = post(s, "l")
			require.Equal(t, http.StatusServiceUnavailable, code)
		})
	}
}

func TestServeWritesTheQueueWhenItsContextEnds(t *testing.T) {
	s := newServer(t, 10, 100)
	_, answer := post(s, "a\nb\n")
	require.Equal(t, `{"accepted":2}`, answer)
	rest := filepath.Join(t.TempDir(), "rest")
	require.NoError(t, os.WriteFile(rest, []byte("saved 1\nsaved 2\n"), 0o600))

	l, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, s.serve(ctx, l, rest))
	require.Equal(t, []string{"saved 1", "saved 2", "a", "b"}, s.stored(t))
	require.NoFileExists(t, rest)
}

func TestServeSavesTheRowsThatTheDatabaseRefuses(t *testing.T) {
	s := newServer(t, 10, 100)
	_, _ = post(s, "a\nb\n")
	_, err := s.db.Exec(`DROP TABLE rows`)
	require.NoError(t, err)
	rest := filepath.Join(t.TempDir(), "rest")
	l, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, s.serve(ctx, l, rest))
	saved, err := os.ReadFile(rest)
	require.NoError(t, err)
	require.Equal(t, "a\nb\n", string(saved))
}
