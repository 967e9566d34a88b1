// Previous compares the queue with that of an earlier commit, in one process and in
// alternating rounds: it prints the table of benchmarks with that commit's queue as
// the only peer.
//
//	go run ./benchmarks/previous                                    # the last tag
//	go run ./benchmarks/previous -commit HEAD~3 -run '^pipeline/'   # some cells
//	go run ./benchmarks/previous -rounds 25 -time 50ms              # more precisely
//
// It builds benchmarks from the working tree in a temporary directory, with one
// more peer: that commit's module under another path.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "previous:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "previous:", err)
		os.Exit(1)
	}
}

type config struct {
	commit string
	run    string
	args   []string // of benchmarks
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("previous", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&c.commit, "commit", "", "compare with this `commit`; the default is the last tag")
	flags.StringVar(&c.run, "run", "", "measure the cells whose `name` matches this regular expression")
	flags.Int("rounds", 9, "how many `rounds` to run")
	flags.Duration("time", 0, "how long one round of one side takes, approximately; the default is that of benchmarks")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c.args = []string{"-run", "(?:" + c.run + ").*/peer=" + peerName + "$"}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "rounds" || f.Name == "time" {
			c.args = append(c.args, "-"+f.Name, f.Value.String())
		}
	})
	return c, nil
}

// run builds the comparison, runs it, and removes it.
func run(ctx context.Context, c config, out, progress io.Writer) error {
	root, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if c.commit == "" {
		if c.commit, err = output(ctx, root, "git", "describe", "--tags", "--abbrev=0"); err != nil {
			return fmt.Errorf("there is no tag to compare with; -commit names another commit: %w", err)
		}
	}
	hash, err := output(ctx, root, "git", "rev-parse", "--verify", "--short", c.commit+"^{commit}")
	if err != nil {
		return fmt.Errorf("-commit: %w", err)
	}
	dir, err := os.MkdirTemp("", "previous")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := build(ctx, root, hash, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "%s is %s\n", peerName, hash)
	compare := exec.CommandContext(ctx, program, c.args...)
	compare.Stdout, compare.Stderr = out, progress
	return compare.Run()
}

// build builds the comparison in dir and returns the program.
func build(ctx context.Context, root, commit, dir string) (program string, err error) {
	archive, err := output(ctx, root, "git", "archive", "--format=tar", commit)
	if err != nil {
		return "", err
	}
	module := filepath.Join(dir, "module")
	methods, err := extract(strings.NewReader(archive), module)
	if err != nil {
		return "", err
	}
	benchmarks := filepath.Join(root, "benchmarks")
	source, err := os.ReadFile(filepath.Join(benchmarks, "peers_queue.go"))
	if err != nil {
		return "", err
	}
	adapter, err := adapt(source, methods)
	if err != nil {
		return "", err
	}
	peer := filepath.Join(dir, "peer.go")
	if err := os.WriteFile(peer, adapter, 0o666); err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := writeOverlay(overlay, map[string]string{filepath.Join(benchmarks, "peers_previous.go"): peer}); err != nil {
		return "", err
	}
	workspace := filepath.Join(dir, "go.work")
	if err := extendWorkspace(ctx, root, workspace, module); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "benchmarks.exe")
	compile := exec.CommandContext(ctx, "go", "build", "-overlay="+overlay, "-o", program, ".")
	compile.Dir = benchmarks
	compile.Env = append(os.Environ(), "GOWORK="+workspace)
	if text, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", compile, err, text)
	}
	return program, nil
}

// extendWorkspace writes a workspace file that has the modules of root's and one
// more. So the dependencies are those that other builds have cached.
func extendWorkspace(ctx context.Context, root, workspace, module string) error {
	text, err := output(ctx, root, "go", "work", "edit", "-json")
	if err != nil {
		return err
	}
	var in struct {
		Go  string
		Use []struct{ DiskPath string }
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return err
	}
	out := "go " + in.Go + "\nuse " + strconv.Quote(module) + "\n"
	for _, use := range in.Use {
		out += "use " + strconv.Quote(filepath.Join(root, use.DiskPath)) + "\n"
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.work.sum"))
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(workspace, []byte(out), 0o666),
		os.WriteFile(workspace+".sum", sums, 0o666),
	)
}

// output runs a command and returns what it prints, without the last newline.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	var stderr strings.Builder
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}
