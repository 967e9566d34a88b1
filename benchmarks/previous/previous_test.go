package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"HEAD":          `unexpected argument "HEAD"`,
		"-rounds three": "invalid value",
	} {
		_, err := parseFlags(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
}

func TestFlagsArePassedOn(t *testing.T) {
	c, err := parseFlags(strings.Fields("-commit x -run ^solo|^try -rounds 3 -time 1ms"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, strings.Fields("-run (?:^solo|^try).*/peer=previous$ -rounds 3 -time 1ms"), c.args)
}

// archive returns a tar archive of files given as name and text.
func archive(t *testing.T, files ...string) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o666, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return &b
}

func TestTheRootModuleIsExtractedUnderAnotherPath(t *testing.T) {
	dir := t.TempDir()
	methods, err := extract(archive(t,
		"go.mod", "module github.com/boundq/queue\n",
		"queue.go", "package queue\nimport \"github.com/boundq/queue/internal/heap\"\nfunc (q *Queue[T]) Put() {}\nfunc (s *store[T]) push() {}\n",
		"queue_test.go", "package queue\n",
		"internal/heap/heap.go", "package heap\n",
		"nested/go.mod", "module github.com/boundq/queue/nested\n",
		"nested/nested.go", "package nested\n",
		"README.md", "",
	), dir)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"Put": true}, methods)
	var names []string
	require.NoError(t, filepath.Walk(dir, func(file string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			name, _ := filepath.Rel(dir, file)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	require.Equal(t, []string{"go.mod", "internal/heap/heap.go", "queue.go"}, names)
	text, err := os.ReadFile(filepath.Join(dir, "queue.go"))
	require.NoError(t, err)
	require.Contains(t, string(text), `"github.com/boundq/previous/internal/heap"`)

	_, err = extract(archive(t, "nothing.go", "package nothing\n"), dir)
	require.ErrorContains(t, err, "no Queue")
	_, err = extract(archive(t, "queue.go", "no Go\n"), dir)
	require.Error(t, err)
}

func TestTheAdapterLeavesOutWhatTheCommitDoesNotHave(t *testing.T) {
	source := `package main
import ("context"; "time"; "github.com/boundq/queue")
func ourPeer(name string) peer { return peer{plain: func(n int) transport { return ours{queue.New[int](n)} }} }
type ours struct{ q *queue.Queue[int] }
func (o ours) put(ctx context.Context, item int) error { return o.q.Put(ctx, item) }
func (o ours) batches(linger time.Duration) { o.q.Batches(linger) }
`
	adapter, err := adapt([]byte(source), map[string]bool{"Put": true})
	require.NoError(t, err)
	require.Contains(t, string(adapter), `queue "github.com/boundq/previous"`)
	require.Contains(t, string(adapter), "func (o previousours) put(")
	require.NotContains(t, string(adapter), "batches")
	require.NotContains(t, string(adapter), `"time"`)
	require.Contains(t, string(adapter), `func init() { peers = append(peers, previousourPeer("previous")) }`)

	adapter, err = adapt([]byte(source), map[string]bool{"Put": true, "Batches": true})
	require.NoError(t, err)
	require.Contains(t, string(adapter), "batches")
	require.Contains(t, string(adapter), `"time"`)

	_, err = adapt([]byte("package main\n"), nil)
	require.ErrorContains(t, err, "has no ours")
}

func TestAComparisonWithTheLastCommitRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	if err := exec.Command("git", "rev-parse", "HEAD").Run(); err != nil {
		t.Skip("not in a git checkout")
	}
	c, err := parseFlags(strings.Fields("-commit HEAD -run ^solo/ctx=cancel -rounds 1 -time 100us"), io.Discard)
	require.NoError(t, err)
	var out, progress strings.Builder
	require.NoError(t, run(t.Context(), c, &out, &progress), progress.String())
	require.Regexp(t, `(?m)^solo/ctx=cancel +ns an item +previous `, out.String())

	c.commit = "no-such-commit"
	require.ErrorContains(t, run(t.Context(), c, io.Discard, io.Discard), "-commit: ")
}
