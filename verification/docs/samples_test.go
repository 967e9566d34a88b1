package docs

import (
	"errors"
	"fmt"
	goast "go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/boundq/queue/verification/internal/changed"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	"golang.org/x/tools/go/packages"
)

const module = changed.Module

// known are the packages that samples use without an import clause. Those of the
// standard library need not be here if no other has the same name.
var known = map[string]string{
	"errgroup":   "golang.org/x/sync/errgroup",
	"jetstream":  "github.com/nats-io/nats.go/jetstream",
	"keyed":      module + "/keyed",
	"metric":     "go.opentelemetry.io/otel/metric",
	"nats":       "github.com/nats-io/nats.go",
	"natsqueue":  module + "/natsqueue",
	"otelqueue":  module + "/otelqueue",
	"prometheus": "github.com/prometheus/client_golang/prometheus",
	"promhttp":   "github.com/prometheus/client_golang/prometheus/promhttp",
	"promqueue":  module + "/promqueue",
	"queue":      module,
	"rand":       "math/rand/v2",
	"semaphore":  "golang.org/x/sync/semaphore",
	"template":   "text/template",
	"trace":      "go.opentelemetry.io/otel/trace",
}

// given declares what samples are about and don't declare themselves, and
// givenIn what they need besides in some documents.
const given = `
package sample

type Job struct{}

var (
	ctx   context.Context
	js    jetstream.JetStream
	meter metric.Meter
	q     *queue.Queue[Job]
)

func work(Job) {}
`

var givenIn = map[string]string{
	"natsqueue/README.md": `
var (
	job Job
	url string
)
`,
}

// A sample is a block of Go in a document.
type sample struct {
	document string
	line     int
	code     string
}

func (s sample) String() string { return fmt.Sprintf("%s:%d", s.document, s.line) }

func (d document) samples() []sample {
	var samples []sample
	d.walk(func(n ast.Node) {
		block, ok := n.(*ast.FencedCodeBlock)
		if !ok || string(block.Language(d.source)) != "go" {
			return
		}
		lines := block.Lines()
		if lines.Len() == 0 {
			return
		}
		line := 1 + strings.Count(string(d.source[:lines.At(0).Start]), "\n")
		samples = append(samples, sample{d.path, line, string(lines.Value(d.source))})
	})
	return samples
}

// parse parses the sample as what it is: a file, declarations or statements.
func (s sample) parse(fset *token.FileSet) (*goast.File, error) {
	at := fmt.Sprintf("//line %s:%d\n", s.document, s.line)
	var errs []error
	for _, source := range []string{
		at + s.code,
		"package sample\n" + at + s.code,
		"package sample\nfunc _() {\n" + at + s.code + "\n}\n",
	} {
		file, err := parser.ParseFile(fset, "", source, parser.ParseComments)
		if err == nil {
			return file, nil
		}
		errs = append(errs, err)
	}
	return nil, errs[len(errs)-1]
}

// A checker type-checks samples against the packages of the workspace.
type checker struct {
	fset     *token.FileSet
	paths    map[string]string // of packages, by their names
	packages map[string]*types.Package
}

// newChecker loads what the samples import, by name or in a clause.
func newChecker(t testing.TB, r repository, samples []sample) *checker {
	c := &checker{fset: token.NewFileSet(), paths: map[string]string{}, packages: map[string]*types.Package{}}
	std, err := packages.Load(&packages.Config{Mode: packages.NeedName, Dir: r.root}, "std")
	require.NoError(t, err)
	for _, p := range std {
		if !strings.Contains(p.PkgPath, "internal") && !strings.HasPrefix(p.PkgPath, "vendor/") {
			c.paths[p.Name] = p.PkgPath
		}
	}
	maps.Copy(c.paths, known)

	needed := map[string]bool{}
	var files []*goast.File
	for _, s := range samples {
		if file, err := s.parse(c.fset); err == nil {
			files = append(files, file, c.given(t, s))
		}
	}
	for _, file := range files {
		for _, p := range c.imports(file) {
			needed[p] = true
		}
		for _, spec := range file.Imports {
			needed[strings.Trim(spec.Path.Value, `"`)] = true
		}
	}
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadTypes | packages.NeedDeps | packages.NeedImports, Dir: r.root, Fset: c.fset}, slices.Collect(maps.Keys(needed))...)
	require.NoError(t, err)
	packages.Visit(loaded, nil, func(p *packages.Package) {
		if p.Types != nil && len(p.Errors) == 0 {
			c.packages[p.PkgPath] = p.Types
		}
	})
	return c
}

func (c *checker) given(t testing.TB, s sample) *goast.File {
	file, err := parser.ParseFile(c.fset, "given.go", given+givenIn[s.document], 0)
	require.NoError(t, err)
	return file
}

// imports returns the packages that file names and does not import.
func (c *checker) imports(file *goast.File) map[string]string {
	imports := map[string]string{}
	unresolved := map[*goast.Ident]bool{}
	for _, id := range file.Unresolved {
		unresolved[id] = true
	}
	imported := map[string]bool{}
	for _, spec := range file.Imports {
		name := path.Base(strings.Trim(spec.Path.Value, `"`))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = true
	}
	goast.Inspect(file, func(n goast.Node) bool {
		if sel, ok := n.(*goast.SelectorExpr); ok {
			if id, ok := sel.X.(*goast.Ident); ok && unresolved[id] && !imported[id.Name] && c.paths[id.Name] != "" {
				imports[id.Name] = c.paths[id.Name]
			}
		}
		return true
	})
	return imports
}

// check returns the errors of a sample, but for what is declared and not used.
func (c *checker) check(t testing.TB, s sample) []error {
	file, err := s.parse(c.fset)
	if err != nil {
		return []error{err}
	}
	files := []*goast.File{file}
	if file.Name.Name == "sample" {
		files = append(files, c.without(c.given(t, s), file))
	}
	for _, f := range files {
		c.addImports(f)
	}
	var errs []error
	config := types.Config{
		Importer: c,
		Error: func(err error) {
			var e types.Error
			if !errors.As(err, &e) || !e.Soft {
				errs = append(errs, err)
			}
		},
	}
	_, _ = config.Check("sample", c.fset, files, nil)
	return errs
}

// without removes from given what the sample declares itself.
func (c *checker) without(given, file *goast.File) *goast.File {
	declared := func(name *goast.Ident) bool { return file.Scope.Lookup(name.Name) != nil }
	var decls []goast.Decl
	for _, d := range given.Decls {
		switch d := d.(type) {
		case *goast.FuncDecl:
			if !declared(d.Name) {
				decls = append(decls, d)
			}
		case *goast.GenDecl:
			d.Specs = slices.DeleteFunc(d.Specs, func(s goast.Spec) bool {
				switch s := s.(type) {
				case *goast.ValueSpec:
					return declared(s.Names[0])
				case *goast.TypeSpec:
					return declared(s.Name)
				}
				return false
			})
			decls = append(decls, d)
		}
	}
	given.Decls = decls
	return given
}

func (c *checker) addImports(file *goast.File) {
	decl := &goast.GenDecl{Tok: token.IMPORT, Lparen: 1}
	for name, p := range c.imports(file) {
		spec := &goast.ImportSpec{Name: goast.NewIdent(name), Path: &goast.BasicLit{Kind: token.STRING, Value: `"` + p + `"`}}
		decl.Specs = append(decl.Specs, spec)
		file.Imports = append(file.Imports, spec)
	}
	file.Decls = slices.Insert(file.Decls, 0, goast.Decl(decl))
}

// Import is that of a [types.Importer].
func (c *checker) Import(importPath string) (*types.Package, error) {
	if importPath == "unsafe" {
		return types.Unsafe, nil
	}
	if p := c.packages[importPath]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no package %s", importPath)
}

func TestSamplesOfAllDocumentsCompile(t *testing.T) {
	r := openRepository(t)
	var samples []sample
	for _, d := range r.documents(t) {
		samples = append(samples, d.samples()...)
	}
	require.NotEmpty(t, samples)
	c := newChecker(t, r, samples)
	for _, s := range samples {
		t.Run(s.String(), func(t *testing.T) {
			for _, err := range c.check(t, s) {
				t.Error(err)
			}
		})
	}
}

// The checks themselves, on samples that do not compile.
func TestSamplesThatDoNotCompileAreNoticed(t *testing.T) {
	wants := map[string]string{
		"x := q.Nothing()":                           "a.md:3: q.Nothing undefined",
		"func f() int { return \"a\" }":              "a.md:3: cannot use",
		"for {":                                      "a.md:",
		"undeclared()":                               "undefined: undeclared",
		"package main\n\nfunc main() { work() }":     "undefined: work",
		"import \"example.com/x\"\n\nvar y = x.Y":    "no package example.com/x",
		"var w queue.Queue[int] = queue.New[int](1)": "cannot use",
		"unused := queue.New[Job](1)\nfor job := range q.Tasks(ctx) {\n\twork(job)\n}": "",
	}
	var samples []sample
	for code := range wants {
		d := parse("a.md", []byte("A sample:\n```go\n"+code+"\n```\n"))
		samples = append(samples, d.samples()...)
	}
	require.Len(t, samples, len(wants))
	c := newChecker(t, openRepository(t), samples)
	for _, s := range samples {
		want := wants[strings.TrimSuffix(s.code, "\n")]
		errs := c.check(t, s)
		if want == "" {
			require.Empty(t, errs, s.code)
			continue
		}
		require.NotEmpty(t, errs, s.code)
		require.ErrorContains(t, errs[0], want, s.code)
	}
}

// symbols are what links to pkg.go.dev can name of this repository.
type symbols map[string]*types.Package

// newSymbols loads the packages that the links name.
func newSymbols(t testing.TB, r repository, links []string) symbols {
	paths := []string{module}
	for _, link := range links {
		if p, ok := documented(link); ok && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadTypes, Dir: r.root}, paths...)
	require.NoError(t, err)
	s := symbols{}
	for _, p := range loaded {
		if len(p.Errors) == 0 {
			s[p.PkgPath] = p.Types
		}
	}
	return s
}

// documented returns the package of this repository to whose documentation link
// leads.
func documented(link string) (importPath string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Host != "pkg.go.dev" {
		return "", false
	}
	importPath = strings.TrimPrefix(u.Path, "/")
	return importPath, importPath == module || strings.HasPrefix(importPath, module+"/")
}

// resolve reports what is wrong with a link to the documentation of a package of
// this repository.
func (s symbols) resolve(link string) error {
	importPath, ok := documented(link)
	if !ok {
		return nil
	}
	p := s[importPath]
	if p == nil {
		return fmt.Errorf("there is no package %s", importPath)
	}
	_, fragment, _ := strings.Cut(link, "#")
	for _, prefix := range []string{"pkg-", "hdr-", "section-", "example-"} {
		if fragment == "" || strings.HasPrefix(fragment, prefix) {
			return nil
		}
	}
	name, member, isMember := strings.Cut(fragment, ".")
	obj := p.Scope().Lookup(name)
	if obj != nil && obj.Exported() && isMember {
		obj, _, _ = types.LookupFieldOrMethod(obj.Type(), true, p, member)
	}
	if obj == nil || !obj.Exported() {
		return fmt.Errorf("%s has no %s", importPath, fragment)
	}
	return nil
}
