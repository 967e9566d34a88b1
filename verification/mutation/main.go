// Command mutation tests the tests: it changes the queue's code in many small
// ways, one at a time, runs the queue's tests on each of these mutants, and
// reports those that no test fails on.
//
//	go run ./verification/mutation                # all, some minutes
//	go run ./verification/mutation -sample 200    # some, chosen at random
//	go run ./verification/mutation -match wait.go # those of a file, or of a function
//
// A condition is negated or left out, a bound shifted, an operator exchanged, a
// statement deleted, a returned value zeroed, a number made one larger or
// smaller. Mutants that do what the original does, or differ in speed alone,
// are listed with the reason in equivalent.txt and are not run.
//
// All mutants of a package are compiled into one test program, which runs as the
// one that an environment variable says: compiling each of them would take more
// time than running the tests on it.
//
// The program ends with status 1 if fewer than 95 % of the others are killed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "embed"

	"golang.org/x/tools/go/packages"
)

const (
	module   = "github.com/boundq/queue"
	variable = "QUEUE_MUTANT" // the environment variable with the number of the mutant to be
	required = 0.95           // the least score
)

//go:embed equivalent.txt
var equivalentText string

func main() {
	sample := flag.Int("sample", 0, "run this `number` of mutants, chosen at random; 0 for all")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "which ones -sample chooses")
	match := flag.String("match", "", "run only mutants whose description matches this `regexp`")
	list := flag.Bool("list", false, "list the mutants and run none")
	equivalents := flag.Bool("equivalents", false, "run those that are listed as equivalent, and no others")
	verbose := flag.Bool("v", false, "say of each mutant what became of it, and after how long")
	workers := flag.Int("workers", 2, "how many mutants are run at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pattern, err := regexp.Compile(*match)
	if err == nil {
		err = run(ctx, os.Stdout, options{*sample, *seed, pattern, *list, *equivalents, *verbose, *workers})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

type options struct {
	sample      int
	seed        uint64
	match       *regexp.Regexp
	list        bool
	equivalents bool
	verbose     bool
	workers     int
}

var errLow = errors.New("too many mutants survived")

func run(ctx context.Context, out io.Writer, o options) error {
	files, err := load(ctx)
	if err != nil {
		return err
	}
	reasons, err := parseEquivalent(equivalentText)
	if err != nil {
		return err
	}
	var chosen []*mutant
	equivalent := 0
	for _, f := range files {
		for _, m := range f.all {
			if !o.match.MatchString(m.String()) {
				continue
			}
			_, listed := reasons[m.String()]
			if listed {
				equivalent++
			}
			if listed == o.equivalents {
				chosen = append(chosen, m)
			}
		}
	}
	if o.list {
		for _, m := range chosen {
			fmt.Fprintf(out, "%d %s:%d %s\n", m.number, m.file, m.line, m)
		}
		return nil
	}
	total := len(chosen)
	if o.sample > 0 && o.sample < total {
		fmt.Fprintf(out, "%d of %d mutants, chosen with -seed %d\n", o.sample, total, o.seed)
		rand.New(rand.NewPCG(o.seed, 0)).Shuffle(total, func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:o.sample]
	}

	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := build(ctx, dir, files)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := p.measure(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	killed, timeouts, survivors := judge(ctx, out, programs, chosen, o.workers, o.verbose)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	score := float64(killed) / float64(max(len(chosen), 1))
	fmt.Fprintf(out, "%d mutants: %d killed (%d of them by a timeout), %d survived; score %.1f %%; %d more are equivalent; %.0f s\n",
		len(chosen), killed, timeouts, len(survivors), 100*score, equivalent, time.Since(began).Seconds())
	if score < required && !o.equivalents {
		return errLow
	}
	return nil
}

// root returns the directory of the module under test.
func root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	return strings.TrimSpace(string(out)), err
}

// load reads the module's packages and finds their mutants.
func load(ctx context.Context) ([]*file, error) {
	dir, err := root(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, err := packages.Load(&packages.Config{Context: ctx, Dir: dir, Mode: packages.LoadSyntax}, "./...")
	if err != nil {
		return nil, err
	}
	var files []*file
	next := 1
	for _, pkg := range pkgs {
		if len(pkg.Errors) > 0 {
			return nil, pkg.Errors[0]
		}
		for i, source := range pkg.CompiledGoFiles {
			src, err := os.ReadFile(source)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(dir, source)
			if err != nil {
				return nil, err
			}
			f := newFile(pkg, pkg.Syntax[i], filepath.ToSlash(name), src, next)
			next = f.next
			files = append(files, f)
		}
	}
	return files, nil
}

// parseEquivalent returns the reason why each mutant listed is equivalent. A
// line is a mutant, and the indented lines below it are the reason.
func parseEquivalent(text string) (map[string]string, error) {
	reasons := make(map[string]string)
	name := ""
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#") || line == "":
		case strings.HasPrefix(line, "\t"):
			reasons[name] = strings.TrimSpace(reasons[name] + " " + strings.TrimSpace(line))
		default:
			if _, again := reasons[line]; again {
				return nil, fmt.Errorf("equivalent.txt:%d: %s: listed twice", i+1, line)
			}
			name = line
			reasons[name] = ""
		}
	}
	return reasons, nil
}

// A program is a package's tests, compiled with all mutants.
type program struct {
	folder string // of the package, relative to the module
	dir    string // the same, absolute
	path   string
	usual  [2]time.Duration // that each of parts takes
}

// slow are the tests that take most of the time, and those in which a mutant
// that forgets somebody hangs, which the tests in synctest's bubbles notice at
// once. They run last, on mutants that survived all others.
const slow = "Alloc|AtOnce|Storm|Newcomers|PutsBack|LostOrDoubled|PlainModel|Burst|AShortQueue|PileUp|Thousands|" +
	"AHeapDoes|EverySmallHeap|TheArrayShrinks|ALongDeque|GrowingQueue|ComparesLittle|" +
	"JustBefore|HugeCapacity|NotKeptAlive|WasServed"

var parts = [2][]string{
	{"-test.skip", slow + "|^Example|^Fuzz"},
	{"-test.run", slow + "|^Example|^Fuzz"},
}

// build compiles the tests of each package with all mutants.
func build(ctx context.Context, dir string, files []*file) ([]*program, error) {
	replace := make(map[string]string)
	put := func(name, code string) error {
		copied := filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		replace[name] = copied
		return os.WriteFile(copied, []byte(code), 0o600)
	}
	var pkgs []*packages.Package
	for _, f := range files {
		name := f.pkg.Fset.Position(f.syntax.Package).Filename
		if err := put(name, f.instrumented()); err != nil {
			return nil, err
		}
		if slices.Contains(pkgs, f.pkg) {
			continue
		}
		pkgs = append(pkgs, f.pkg)
		code := fmt.Sprintf("package %s\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar %s, _ = strconv.Atoi(os.Getenv(%q))\n",
			f.pkg.Name, switchName, variable)
		if err := put(filepath.Join(filepath.Dir(name), "mutant_number.go"), code); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	overlayPath := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return nil, err
	}
	var programs []*program
	for i, pkg := range pkgs {
		p := &program{
			folder: path.Join(".", strings.TrimPrefix(strings.TrimPrefix(pkg.PkgPath, module), "/")),
			dir:    filepath.Dir(pkg.GoFiles[0]),
			path:   filepath.Join(dir, fmt.Sprintf("%d.test", i)),
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlayPath, "-o", p.path, ".")
		cmd.Dir = p.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("the tests of %s with all mutants: %w\n%s", pkg.PkgPath, err, out)
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// measure runs p's tests on the original, on which none may fail.
func (p *program) measure(ctx context.Context) error {
	for i, part := range parts {
		began := time.Now()
		if v, out := p.run(ctx, 0, part, 2*time.Minute); v != survived {
			return fmt.Errorf("the tests fail without any mutant: %s", out)
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
	timedOut verdict = "timed out"
)

// run runs some of p's tests on a mutant. A mutant may well allocate without
// end, so the program's memory is limited, where there is a shell that can.
func (p *program) run(ctx context.Context, number int, part []string, limit time.Duration) (verdict, []byte) {
	ctx, cancel := context.WithTimeout(ctx, limit+5*time.Second)
	defer cancel()
	args := append([]string{p.path, "-test.short", "-test.failfast", "-test.timeout", limit.String()}, part...)
	if shell, err := exec.LookPath("sh"); err == nil {
		args = append([]string{shell, "-c", `ulimit -v 4000000; exec "$@"`, "sh"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, number))
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, nil
	case ctx.Err() != nil || strings.Contains(string(out), "panic: test timed out"):
		return timedOut, out
	default:
		return killed, out
	}
}

// judge runs the tests on the mutants and returns what became of them.
func judge(ctx context.Context, out io.Writer, programs []*program, mutants []*mutant, workers int, verbose bool) (dead, timeouts int, survivors []*mutant) {
	queue := make(chan *mutant)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for m := range queue {
				began := time.Now()
				v := m.judge(ctx, programs)
				mu.Lock()
				if v == survived || verbose {
					fmt.Fprintf(out, "%s: %s:%d: %s", v, m.file, m.line, m)
					if verbose {
						fmt.Fprintf(out, " (%.1f s)", time.Since(began).Seconds())
					}
					fmt.Fprintln(out)
				}
				switch v {
				case survived:
					survivors = append(survivors, m)
				case timedOut:
					timeouts++
					dead++
				default:
					dead++
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		if ctx.Err() != nil {
			break
		}
		queue <- m
	}
	close(queue)
	all.Wait()
	return dead, timeouts, survivors
}

// judge runs the tests on m: those of its own package and then the root's, and
// the slow ones of both last.
func (m *mutant) judge(ctx context.Context, programs []*program) verdict {
	for i, part := range parts {
		for _, p := range slices.Backward(programs) {
			if p.folder != "." && p.folder != path.Dir(m.file) {
				continue
			}
			if v, _ := p.run(ctx, m.number, part, max(2*time.Second, 5*p.usual[i])); v != survived {
				return v
			}
		}
	}
	return survived
}
