package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-run (":        "-run: ",
		"-rounds 0":     "-rounds must be at least 1",
		"-time 0s":      "-time must be positive",
		"-time -1s":     "-time must be positive",
		"everything":    `unexpected argument "everything"`,
		"-rounds three": "invalid value",
		"-fast":         "not defined",

		"-run solo -out .":           "-out needs a whole run: it cannot be combined with -run",
		"-from rounds.json -run a":   "-from measures nothing: it cannot be combined with -run",
		"-time 1s -from rounds.json": "it cannot be combined with -time",
	} {
		_, err := parseFlags(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
}

func TestTheCommandNamesNoPathOfThisMachine(t *testing.T) {
	c, err := parseFlags([]string{"-python", "/opt/somewhere/python3", "-out", "/home/somebody", "-rounds", "3"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "go run ./benchmarks -out . -python python3 -rounds 3", c.command)
}

func TestAPatternSelectsCellsAndPeers(t *testing.T) {
	names := func(pattern string) (names []string) {
		for _, c := range selected(cells(tinySizes), regexp.MustCompile(pattern)) {
			for _, s := range c.sides {
				names = append(names, c.name+" "+s.peer)
			}
		}
		return names
	}
	require.Equal(t, []string{"solo/ctx=cancel queue", "solo/ctx=cancel chan+select"}, names(`solo/.*peer=chan\+select$`))
	require.Len(t, selected(cells(tinySizes), regexp.MustCompile("")), len(cells(tinySizes)))
	require.Empty(t, names("no such cell"))
}

func TestARunPrintsATableAndWritesThePage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	c, err := parseFlags([]string{"-run", "solo/ctx=cancel", "-rounds", "2", "-time", "100us"}, io.Discard)
	require.NoError(t, err)
	c.out = dir // which the flags allow for a whole run only
	var out, progress strings.Builder
	require.NoError(t, run(t.Context(), c, &out, &progress))
	require.Contains(t, out.String(), "chan+select")
	require.Contains(t, progress.String(), "1/1  solo/ctx=cancel\n")

	c, err = parseFlags([]string{"-from", filepath.Join(dir, roundsFile)}, io.Discard)
	require.NoError(t, err)
	var again strings.Builder
	require.NoError(t, run(t.Context(), c, &again, io.Discard))
	require.Equal(t, out.String(), again.String())
	require.FileExists(t, filepath.Join(dir, pageFile))
}

func TestARunThatCannotBeIsRefusedAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	for _, args := range [][]string{
		{"-run", "no such cell"},
		{"-out", file},
		{"-from", file + ".json"},
		{"-python", file + ".exe"},
	} {
		c, err := parseFlags(args, io.Discard)
		require.NoError(t, err)
		require.Error(t, run(t.Context(), c, io.Discard, io.Discard), args)
	}
}

func TestAnInterruptEndsARun(t *testing.T) {
	c, err := parseFlags(nil, io.Discard)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, run(ctx, c, io.Discard, io.Discard), context.Canceled)
}

func TestPythonsQueuesDoTheSameWork(t *testing.T) {
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	python, err := startPython(t.Context(), path, os.Stderr)
	require.NoError(t, err)
	require.Regexp(t, `^\w+ 3\.`, python.version)
	all := cells(tinySizes)
	python.join(all)
	sides := 0
	for _, c := range all {
		for _, s := range c.sides {
			if !slices.ContainsFunc(pythonPeers, func(p peer) bool { return p.name == s.peer }) {
				continue
			}
			sides++
			work, err := s.prepare()
			require.NoError(t, err)
			for range 2 {
				measured, err := work.run(200)
				require.NoError(t, err, "%s: %s", c.name, s.peer)
				require.Positive(t, measured.values[0])
			}
			work.close()
		}
	}
	require.Equal(t, 2*(6+4), sides, "pipelines and priorities")
	require.NoError(t, python.close())

	_, err = python.ask(request{})
	require.Error(t, err, "it has ended")
}
