package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

func TestEachMutantListedAsEquivalentIsOneAndHasItsReason(t *testing.T) {
	files, err := load(t.Context())
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, f := range files {
		for _, m := range f.all {
			require.False(t, known[m.String()], "two mutants are called %s", m)
			known[m.String()] = true
		}
	}
	require.Greater(t, len(known), 1000)
	reasons, err := parseEquivalent(equivalentText)
	require.NoError(t, err)
	for name, reason := range reasons {
		require.True(t, known[name], "there is no mutant %s", name)
		require.NotEmpty(t, reason, name)
	}
	require.Less(t, len(reasons), len(known)/20)
}

// parse returns a file with one function body.
func parse(t *testing.T, signature, body string) *file {
	t.Helper()
	src := "package p\n\nconst limit = 4\n\nfunc f" + signature + " {\n" + body + "\n}\n"
	pkg := &packages.Package{Name: "p", PkgPath: "p", Fset: token.NewFileSet(), TypesInfo: &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue),
		Defs:  make(map[*ast.Ident]types.Object),
		Uses:  make(map[*ast.Ident]types.Object),
	}}
	syntax, err := parser.ParseFile(pkg.Fset, "p.go", src, parser.ParseComments)
	require.NoError(t, err)
	pkg.Types, err = (&types.Config{Importer: importer.Default()}).Check("p", pkg.Fset, []*ast.File{syntax}, pkg.TypesInfo)
	require.NoError(t, err)
	return newFile(pkg, syntax, "p.go", []byte(src), 1)
}

func TestEachKindOfCodeHasItsMutants(t *testing.T) {
	for _, test := range []struct {
		signature, body string
		want            []string
	}{
		{"(a, b int) bool", "return a < b", []string{"return a < b -> return false", "a < b -> a <= b", "a < b -> a >= b"}},
		{"(a, b bool) bool", "return a && !b", []string{
			"return a && !b -> return false", "a && !b -> a", "a && !b -> !b", "a -> !a", "!b -> b"}},
		{"(a int) int", "return a + limit", []string{
			"return a + limit -> return 0", "a + limit -> a - limit", "limit -> limit + 1", "limit -> limit - 1"}},
		{"(a int) (n int)", "n += a\nn++\nreturn", []string{"n += a deleted", "n += a -> n -= a", "n++ deleted", "n++ -> n--"}},
		{"(a, b int) int", "return min(a, b)", []string{"return min(a, b) -> return 0", "min(a, b) -> max(a, b)"}},
		{"(ok bool) (p *int, err error)", "if ok {\nprintln(p)\n}\nreturn p, err", []string{
			"if ok {...} deleted", "ok -> !ok", "println(p) deleted"}},
		{"(a, b string) string", "a += b\nreturn a + b", []string{"a += b deleted", "return a + b -> return \"\""}},
		{"(a, b int, ok bool)", "switch a {\ncase b:\nprintln()\n}\nswitch {\ncase ok:\n}", []string{"println() deleted", "ok -> !ok"}},
		{"(n int)", "for ; n > 0; n /= 2 {\ndefer println()\n}", []string{
			"for ; n > 0; n /= 2 {...} deleted", "n > 0 -> n >= 0", "n > 0 -> n <= 0", "0 -> 0 + 1",
			"n /= 2 deleted", "n /= 2 -> n *= 2", "2 -> 2 + 1", "2 -> 2 - 1", "defer println() deleted"}},
	} {
		f := parse(t, test.signature, test.body)
		var got []string
		for _, m := range f.all {
			got = append(got, m.String()[len("p.go f: "):])
		}
		require.ElementsMatch(t, test.want, got, test.body)
	}
}
