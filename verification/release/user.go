package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/tools/imports"
)

// testdata has the programs: those named after a module, which must work with it,
// and misuse and proper, in which queuevet must find all that it reports, and
// nothing.
//
//go:embed testdata
var testdata embed.FS

// A user has the proxy, and nothing of the repository.
type user struct {
	dir     string
	version string
	env     []string
}

func newUser(ctx context.Context, dir, version string) (*user, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	cache, proxy, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	proxies := []string{fileURL(dir, "proxy"), fileURL(cache, "cache", "download")}
	if proxy != "" {
		proxies = append(proxies, proxy)
	}
	env := append(os.Environ(),
		"GOWORK=off",
		"GOPROXY="+strings.Join(proxies, ","),
		"GOENV=off", "GOPRIVATE=", "GONOPROXY=", "GOVCS=*:off",
		"GOSUMDB=off", // it has no sums of what was just packed; the others were checked when they came to the cache
		"GOMODCACHE="+filepath.Join(dir, "mod"),
		"GOBIN="+filepath.Join(dir, "bin"),
		"GOFLAGS=-modcacherw -trimpath", // the one, to be able to remove the cache; the other, for the next run to find what was built
	)
	return &user{dir, version, env}, nil
}

func fileURL(elem ...string) string {
	path := filepath.ToSlash(filepath.Join(elem...))
	return "file:///" + strings.TrimPrefix(path, "/")
}

type check struct {
	what string
	do   func(context.Context) error
}

// checks returns what is done with the modules of the repository, the quickest
// to fail first.
func (u *user) checks(repository string) []check {
	checks := []check{{"README's first sample", func(ctx context.Context) error { return u.sample(ctx, repository) }}}
	for _, program := range []struct {
		name   string
		others []string
	}{
		{"keyed", nil},
		{"promqueue", nil},
		{"otelqueue", []string{"go.opentelemetry.io/otel/sdk/metric"}},
		{"natsqueue", []string{"github.com/nats-io/nats-server/v2"}},
	} {
		checks = append(checks, check{"a program with " + program.name, func(ctx context.Context) error {
			return u.program(ctx, program.name, program.others...)
		}})
	}
	checks = append(checks, check{"queuevet", u.vet})
	for _, module := range released {
		checks = append(checks, check{"the tests of " + module, func(ctx context.Context) error { return u.tests(ctx, module) }})
	}
	return checks
}

// newModule makes an empty module with the files, and returns its directory.
func (u *user) newModule(ctx context.Context, files map[string][]byte) (string, error) {
	dir, err := os.MkdirTemp(u.dir, "module")
	if err != nil {
		return "", err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return "", err
		}
	}
	return dir, u.run(ctx, dir, "go", "mod", "init", "example.com/user")
}

// run runs a command in dir. The error has its output.
func (u *user) run(ctx context.Context, dir, name string, args ...string) error {
	_, err := u.output(ctx, dir, name, args...)
	return err
}

func (u *user) output(ctx context.Context, dir, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, u.env
	out, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{filepath.Base(name)}, args...), " "), err, out)
	}
	return string(out), err
}

// sample gets the root and runs the first sample of README.md.
func (u *user) sample(ctx context.Context, repository string) error {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		return err
	}
	_, rest, found := strings.Cut(strings.ReplaceAll(string(readme), "\r\n", "\n"), "\n```go\n")
	sample, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		return errors.New("README.md has no sample")
	}
	if !strings.HasPrefix(sample, "package ") {
		sample = "package main\n\nimport \"" + root + "\"\n\nfunc main() {\n" + sample + "\n}\n"
	}
	program, err := imports.Process("main.go", []byte(sample), nil)
	if err != nil {
		return err
	}
	dir, err := u.newModule(ctx, map[string][]byte{"main.go": program})
	if err != nil {
		return err
	}
	return u.getAndRun(ctx, dir, root)
}

// program gets the module of that name and runs the program that is kept for it,
// which also needs the modules others, in the versions that the module requires.
func (u *user) program(ctx context.Context, name string, others ...string) error {
	program, err := testdata.ReadFile("testdata/" + name + "/main.go")
	if err != nil {
		return err
	}
	dir, err := u.newModule(ctx, map[string][]byte{"main.go": program})
	if err != nil {
		return err
	}
	return u.getAndRun(ctx, dir, root+"/"+name, others...)
}

func (u *user) getAndRun(ctx context.Context, dir, module string, others ...string) error {
	if err := u.run(ctx, dir, "go", "get", module+"@"+u.version); err != nil {
		return err
	}
	for _, other := range others {
		version, err := u.output(ctx, dir, "go", "list", "-m", "-f", "{{.Version}}", other)
		if err != nil {
			return err
		}
		if err := u.run(ctx, dir, "go", "get", other+"/...@"+strings.TrimSpace(version)); err != nil {
			return err
		}
	}
	out, err := u.output(ctx, dir, "go", "run", ".")
	if err == nil && strings.TrimSpace(out) == "" {
		err = errors.New("the program prints nothing")
	}
	return err
}

// tests runs the tests of a module as those of a dependency.
func (u *user) tests(ctx context.Context, module string) error {
	dir, err := u.newModule(ctx, nil)
	if err != nil {
		return err
	}
	if err := u.run(ctx, dir, "go", "get", module+"@"+u.version); err != nil {
		return err
	}
	list, err := u.output(ctx, dir, "go", "list", module+"/...")
	if err != nil {
		return err
	}
	packages := strings.Fields(list)
	if err := u.run(ctx, dir, "go", append([]string{"get", "-t"}, packages...)...); err != nil {
		return err
	}
	return u.run(ctx, dir, "go", append([]string{"test", "-short", "-timeout=5m"}, packages...)...)
}

// vet runs queuevet by itself and through go vet.
func (u *user) vet(ctx context.Context) error {
	tool := root + "/queuevet@" + u.version
	if err := u.run(ctx, u.dir, "go", "install", tool); err != nil {
		return err
	}
	for _, name := range []string{"proper", "misuse"} {
		program, err := testdata.ReadFile("testdata/" + name + "/main.go")
		if err != nil {
			return err
		}
		dir, err := u.newModule(ctx, map[string][]byte{"main.go": program})
		if err != nil {
			return err
		}
		if err := u.run(ctx, dir, "go", "get", root+"@"+u.version); err != nil {
			return err
		}
		for _, command := range [][]string{
			{"run", tool, "./..."},
			{"vet", "-vettool=" + filepath.Join(u.dir, "bin", "queuevet"), "./..."},
		} {
			out, err := u.output(ctx, dir, "go", command...)
			switch {
			case name == "proper" && err != nil:
				return err
			case name == "misuse" && err == nil:
				return fmt.Errorf("go %s reports nothing", strings.Join(command, " "))
			case name == "misuse":
				for n, line := range strings.Split(string(program), "\n") {
					if want := fmt.Sprintf("main.go:%d:", n+1); strings.Contains(line, "// found") != strings.Contains(out, want) {
						return fmt.Errorf("what is reported of %q is not what was expected:\n%s", strings.TrimSpace(line), out)
					}
				}
			}
		}
	}
	return nil
}
