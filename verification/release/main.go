// Command release checks, before a version is tagged, that users will be able to
// fetch it:
//
//	go run ./verification/release                       # the version that go.mod files require
//	go run ./verification/release -tag natsqueue/v0.1.0 # and that the tag has this version
//
// It packs every module of the workspace, as it is on disk, into a file-based
// module proxy. Then, from empty modules outside the workspace, it fetches each
// module that users import, builds and runs a program that uses it, and runs the
// module's own tests, which must pass without the rest of the repository. It also
// runs queuevet in the ways that its documentation describes.
//
// Other modules come from the module cache, or from GOPROXY if they are not in it.
// The cache does not change: the packed modules are unpacked into a temporary one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	tag := flag.String("tag", "", "check that `tag` is one of the version")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *tag); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// root is the module that has no prefix before the version in its tags.
const root = "github.com/boundq/queue"

// released are the modules that get tags, those after the root in any order.
var released = []string{
	root,
	root + "/natsqueue",
	root + "/otelqueue",
	root + "/promqueue",
	root + "/queuevet",
}

func run(ctx context.Context, out io.Writer, tag string) (err error) {
	modules, err := workspace(ctx)
	if err != nil {
		return err
	}
	version, err := nextVersion(modules)
	if err != nil {
		return err
	}
	if err := checkTag(tag, version); err != nil {
		return err
	}
	if err := checkChangelog(filepath.Join(modules[root].Dir, "CHANGELOG.md"), version, tag != ""); err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, m := range modules {
		if err := pack(ctx, filepath.Join(dir, "proxy"), m, version, modules[root].Dir); err != nil {
			return fmt.Errorf("packing %s: %w", m.Path, err)
		}
	}
	fmt.Fprintf(out, "packed %d modules as %s\n", len(modules), version)

	u, err := newUser(ctx, dir, version)
	if err != nil {
		return err
	}
	for _, check := range u.checks(modules[root].Dir) {
		start := time.Now()
		if failure := check.do(ctx); failure != nil {
			fmt.Fprintf(out, "FAIL %s: %v\n", check.what, failure)
			err = fmt.Errorf("%s can't be released like this", version)
		} else {
			fmt.Fprintf(out, "ok   %s (%.1f s)\n", check.what, time.Since(start).Seconds())
		}
	}
	return err
}

// checkTag reports whether tag, if there is one, names the version of a module
// that is released.
func checkTag(tag, version string) error {
	if tag == "" {
		return nil
	}
	path := root
	v := tag
	if i := strings.LastIndexByte(tag, '/'); i >= 0 {
		path, v = root+"/"+tag[:i], tag[i+1:]
	}
	if !slices.Contains(released, path) {
		return fmt.Errorf("tag %s is for %s, which is not released", tag, path)
	}
	if v != version {
		return fmt.Errorf("tag %s is not of the version %s, which the go.mod files require", tag, version)
	}
	return nil
}

// checkChangelog reports whether the version has a section, and a tagged one a
// date.
func checkChangelog(name, version string, tagged bool) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	heading := "## [" + strings.TrimPrefix(version, "v") + "]"
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, heading) {
			continue
		}
		if _, err := time.Parse(" - 2006-01-02\n", line[len(heading):]); tagged && err != nil {
			return fmt.Errorf("CHANGELOG.md has no date in %q", strings.TrimSpace(line))
		}
		return nil
	}
	return fmt.Errorf("CHANGELOG.md has no section %q", heading)
}
