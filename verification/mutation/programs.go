package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/boundq/queue/verification/internal/changed"
	"golang.org/x/tools/go/packages"
)

// A program is the compiled tests of a package, with all mutants in it.
type program struct {
	folder string // of the package, relative to the module
	dir    string // the same, absolute
	path   string
	usual  [2]time.Duration // how long each of parts takes if all goes well
}

// late are the tests that take most of the time, and those in which a mutant
// that forgets a blocked call hangs, which the tests in synctest's bubbles notice at
// once. They run on mutants that survived all others.
const late = "Alloc|AtOnce|Storm|Newcomers|PutsBack|LostOrDoubled|PlainModel|Burst|AShortQueue|PileUp|Thousand|" +
	"AHeapDoes|EverySmallHeap|TheArrayShrinks|ALongDeque|GrowingQueue|ComparesLittle|" +
	"JustBefore|HugeCapacity|NotKeptAlive|ThatCompleted|^Example|^Fuzz"

// parts are the flags that choose what runs first, and what runs then.
var parts = [2][]string{{"-test.skip", late}, {"-test.run", late}}

// build compiles the tests of each package.
func build(ctx context.Context, dir string, files []*file) ([]*program, error) {
	code := make(map[string]string)
	var pkgs []*packages.Package
	for _, f := range files {
		name := f.pkg.Fset.Position(f.syntax.Package).Filename
		code[name] = f.instrumented()
		if !slices.Contains(pkgs, f.pkg) {
			pkgs = append(pkgs, f.pkg)
			code[filepath.Join(filepath.Dir(name), "mutant_number.go")] = switchCode(f.pkg.Name)
		}
	}
	overlay, err := changed.Overlay(dir, code)
	if err != nil {
		return nil, err
	}
	var programs []*program
	for i, pkg := range pkgs {
		p := &program{
			folder: path.Join(".", strings.TrimPrefix(strings.TrimPrefix(pkg.PkgPath, changed.Module), "/")),
			dir:    filepath.Dir(pkg.GoFiles[0]),
			path:   filepath.Join(dir, fmt.Sprintf("%d.test", i)),
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", p.path, ".")
		cmd.Dir = p.dir
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("the tests of %s with all mutants: %w\n%s", pkg.PkgPath, err, output)
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// measure runs p's tests on the original, on which none may fail.
func (p *program) measure(ctx context.Context) error {
	for i, part := range parts {
		began := time.Now()
		if v, output := p.run(ctx, 0, part, 2*time.Minute); v != survived {
			return fmt.Errorf("the tests fail without any mutant: %s", output)
		}
		p.usual[i] = time.Since(began)
	}
	return nil
}

// A verdict says what became of a mutant.
type verdict string

const (
	survived verdict = "survived"
	killed   verdict = "killed"
	timedOut verdict = "killed by a timeout"
)

// judge runs the tests on m: those of its own package and then, if it is one of
// those that the root is made of, the root's; and the late ones of both after
// that.
func (m *mutant) judge(ctx context.Context, programs []*program) verdict {
	folders := []string{path.Dir(m.file)}
	if strings.HasPrefix(m.file, "internal/") {
		folders = append(folders, ".")
	}
	for i, part := range parts {
		for _, folder := range folders {
			for _, p := range programs {
				if p.folder != folder {
					continue
				}
				if v, _ := p.run(ctx, m.number, part, max(2*time.Second, 5*p.usual[i])); v != survived {
					return v
				}
			}
		}
	}
	return survived
}

// run runs a part of p's tests on a mutant, or with the number 0 on the
// original. A mutant may well allocate without end, so the program's memory is
// limited where there is a shell that can do that.
func (p *program) run(ctx context.Context, number int, part []string, limit time.Duration) (verdict, []byte) {
	ctx, cancel := context.WithTimeout(ctx, limit+5*time.Second) // if the program's own limit does not end it
	defer cancel()
	args := append([]string{p.path, "-test.short", "-test.failfast", "-test.timeout", limit.String()}, part...)
	if shell, err := exec.LookPath("sh"); err == nil {
		args = append([]string{shell, "-c", `ulimit -v 4000000; exec "$@"`, "sh"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, number))
	output, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, nil
	case ctx.Err() != nil || strings.Contains(string(output), "panic: test timed out"):
		return timedOut, output
	default:
		return killed, output
	}
}
