// Package docs checks the Markdown documents of the repository: that their links
// resolve, that their samples compile and that their commands name packages that
// exist.
//
// Run these tests with -count=1: go test does not notice changes outside a test's
// own module, and may print a cached result.
package docs

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/boundq/queue/verification/internal/changed"
	"github.com/boundq/queue/verification/internal/tracked"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// A document is a Markdown file of the repository.
type document struct {
	path   string // from the root, with slashes
	source []byte
	tree   ast.Node
}

// A repository is what git would commit, by paths from the root with slashes.
type repository struct {
	root  string
	files map[string]bool
	dirs  map[string]bool
}

func openRepository(t testing.TB) repository {
	root, err := changed.Root(t.Context())
	require.NoError(t, err)
	names, err := tracked.Files(t.Context(), root)
	require.NoError(t, err)
	r := repository{root, map[string]bool{}, map[string]bool{".": true}}
	for _, name := range names {
		r.files[name] = true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			r.dirs[dir] = true
		}
	}
	return r
}

func (r repository) read(t testing.TB, name string) []byte {
	source, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return []byte(strings.ReplaceAll(string(source), "\r\n", "\n"))
}

func (r repository) documents(t testing.TB) []document {
	var docs []document
	for name := range r.files {
		if strings.HasSuffix(name, ".md") {
			docs = append(docs, parse(name, r.read(t, name)))
		}
	}
	slices.SortFunc(docs, func(a, b document) int { return strings.Compare(a.path, b.path) })
	require.NotEmpty(t, docs)
	return docs
}

func parse(name string, source []byte) document {
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	return document{name, source, markdown.Parser().Parse(text.NewReader(source))}
}

var (
	attribute = regexp.MustCompile(`\b(?:href|src|srcset)="([^"]*)"`)
	anchor    = regexp.MustCompile(`\b(?:id|name)="([^"]*)"`)
)

// links returns where the document's links, images and HTML attributes lead.
func (d document) links() []string {
	var links []string
	d.walk(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			links = append(links, string(n.Destination))
		case *ast.Image:
			links = append(links, string(n.Destination))
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL {
				links = append(links, string(n.URL(d.source)))
			}
		case *ast.RawHTML, *ast.HTMLBlock:
			for _, m := range attribute.FindAllSubmatch(d.html(n), -1) {
				links = append(links, string(m[1]))
			}
		}
	})
	return links
}

// anchors returns what a fragment can name: the headings, as GitHub does it, and
// the anchors in HTML.
func (d document) anchors() map[string]bool {
	anchors := map[string]bool{}
	d.walk(func(n ast.Node) {
		switch n.(type) {
		case *ast.Heading:
			id := slug(d.text(n))
			unique := id
			for i := 1; anchors[unique]; i++ {
				unique = fmt.Sprintf("%s-%d", id, i)
			}
			anchors[unique] = true
		case *ast.RawHTML, *ast.HTMLBlock:
			for _, m := range anchor.FindAllSubmatch(d.html(n), -1) {
				anchors[string(m[1])] = true
			}
		}
	})
	return anchors
}

// slug returns the name of a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

func (d document) walk(visit func(ast.Node)) {
	_ = ast.Walk(d.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			visit(n)
		}
		return ast.WalkContinue, nil
	})
}

// text returns the words of n without their markup.
func (d document) text(n ast.Node) string {
	var words strings.Builder
	document{d.path, d.source, n}.walk(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Text:
			words.Write(n.Segment.Value(d.source))
		case *ast.String:
			words.Write(n.Value)
		}
	})
	return words.String()
}

func (d document) html(n ast.Node) []byte {
	lines := &text.Segments{}
	switch n := n.(type) {
	case *ast.RawHTML:
		lines = n.Segments
	case *ast.HTMLBlock:
		lines = n.Lines()
		if n.HasClosure() {
			lines.Append(n.ClosureLine)
		}
	}
	return lines.Value(d.source)
}

// resolve reports what is wrong with a link of the document from.
func (r repository) resolve(t testing.TB, from document, link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	if u.Scheme != "" || u.Host != "" {
		switch {
		case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
			return nil
		case u.Scheme != "https" || !strings.Contains(u.Host, "."):
			return fmt.Errorf("is not a link to a web page: https://host/path")
		}
		return nil
	}
	target := from.path
	if u.Path != "" {
		if strings.HasPrefix(u.Path, "/") {
			return fmt.Errorf("is not relative")
		}
		target = path.Join(path.Dir(from.path), u.Path)
	}
	switch {
	case r.dirs[target] && u.Fragment == "":
		return nil
	case !r.files[target]:
		return fmt.Errorf("there is no %s", target)
	case u.Fragment == "":
		return nil
	case strings.HasSuffix(target, ".md"):
		if !parse(target, r.read(t, target)).anchors()[u.Fragment] {
			return fmt.Errorf("%s has no heading #%s", target, u.Fragment)
		}
		return nil
	}
	line, isLine := strings.CutPrefix(u.Fragment, "L")
	if n, err := strconv.Atoi(line); !isLine || err != nil || n < 1 || n > strings.Count(string(r.read(t, target)), "\n") {
		return fmt.Errorf("%s has no line #%s", target, u.Fragment)
	}
	return nil
}

func TestLinksOfAllDocumentsResolve(t *testing.T) {
	r := openRepository(t)
	docs := r.documents(t)
	var links []string
	for _, d := range docs {
		links = append(links, d.links()...)
	}
	symbols := newSymbols(t, r, links)
	for _, d := range docs {
		t.Run(d.path, func(t *testing.T) {
			for _, link := range d.links() {
				if err := r.resolve(t, d, link); err != nil {
					t.Errorf("%s: %v", link, err)
				} else if err := symbols.resolve(link); err != nil {
					t.Errorf("%s: %v", link, err)
				}
			}
		})
	}
}

// The checks themselves, on a document that breaks each of them.
func TestLinksThatLeadNowhereAreNoticed(t *testing.T) {
	r := openRepository(t)
	symbols := newSymbols(t, r, nil)
	for link, want := range map[string]string{
		"missing.md":                                "there is no docs/missing.md",
		"../readme.md":                              "there is no readme.md",
		"../../elsewhere":                           "there is no ../elsewhere",
		"../README.md#no-such-heading":              "has no heading",
		"#no-such-heading":                          "there is no docs/a.md",
		"../queue.go#L1000000":                      "has no line",
		"../queue.go#Queue":                         "has no line",
		"/README.md":                                "is not relative",
		"http://example.com":                        "is not a link",
		"https://localhost":                         "is not a link",
		"https:example.com":                         "is not a link",
		"https://pkg.go.dev/" + module + "/nowhere": "no package",
		"https://pkg.go.dev/" + module + "#Queue.Nothing": "has no Queue.Nothing",
		"https://pkg.go.dev/" + module + "#Nothing":       "has no Nothing",
		"https://pkg.go.dev/" + module + "#park":          "has no park",
	} {
		d := parse("docs/a.md", []byte("A table\n\na | b\n--|--\nsee | [this]("+link+")\n"))
		require.Equal(t, []string{link}, d.links())
		err := r.resolve(t, d, link)
		if err == nil {
			err = symbols.resolve(link)
		}
		require.ErrorContains(t, err, want, link)
	}
	for _, link := range []string{
		"../README.md", "../internal", "../README.md#when-to-use-a-channel-instead", "../queue.go#L1", "https://example.com/#a", "mailto:a@example.com",
		"https://pkg.go.dev/" + module, "https://pkg.go.dev/" + module + "#Queue.Put", "https://pkg.go.dev/" + module + "#Stats.Len",
		"https://pkg.go.dev/" + module + "#New", "https://pkg.go.dev/" + module + "#pkg-examples", "https://pkg.go.dev/" + module + "#example-Queue.Put",
	} {
		d := parse("docs/a.md", []byte("<a href=\""+link+"\">\n"))
		require.Equal(t, []string{link}, d.links())
		require.NoError(t, r.resolve(t, d, link), link)
		require.NoError(t, symbols.resolve(link), link)
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	d := parse("a.md", []byte("# One, `two` & three_four!\n\n## One, two & three_four\n\nSet\n---\n\n# Ätna-5 [link](x)\n\n<a id=\"six\"></a>\n"))
	require.Equal(t, map[string]bool{"one-two--three_four": true, "one-two--three_four-1": true, "set": true, "ätna-5-link": true, "six": true}, d.anchors())
}

var command = regexp.MustCompile(`\bgo (?:run|test|build|vet)\b[^\n` + "`" + `#;|&]*`)

func TestCommandsOfAllDocumentsNamePackagesThatExist(t *testing.T) {
	r := openRepository(t)
	found := 0
	for _, d := range r.documents(t) {
		for _, c := range command.FindAllString(string(d.source), -1) {
			for word := range strings.FieldsSeq(c) {
				word = strings.TrimRight(word, ".,:()")
				dir, ok := strings.CutPrefix(word, "./")
				if !ok || dir == "" || strings.HasSuffix(dir, "/") {
					continue
				}
				found++
				if !r.dirs[dir] {
					t.Errorf("%s: %s: there is no %s", d.path, strings.TrimSpace(c), dir)
				}
			}
		}
	}
	require.NotZero(t, found)
}
