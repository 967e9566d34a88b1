package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// The instrumented code holds all mutants at once, and a variable in it that says
// which one it is to be, 0 for none. It is set from an environment variable.
const (
	switchName = "mutantNumber"
	variable   = "QUEUE_MUTANT"
)

// switchCode returns the file that declares the variable in a package.
func switchCode(pkg string) string {
	return fmt.Sprintf(`package %s

import (
	"os"
	"strconv"
)

var %s, _ = strconv.Atoi(os.Getenv(%q))
`, pkg, switchName, variable)
}

// instrumented returns the file's code with all its mutants in it.
func (f *file) instrumented() string {
	head := f.src[:f.pkg.Fset.Position(f.syntax.Package).Offset]
	return string(head) + f.inside(f.syntax)
}

// inside returns the code of n with the mutants of all that is within it.
func (f *file) inside(n ast.Node) string {
	var b strings.Builder
	at := n.Pos()
	upTo := func(pos token.Pos) { b.WriteString(f.between(at, pos)) }
	ast.Inspect(n, func(c ast.Node) bool {
		if c == nil || c == n || len(f.mutants[c]) == 0 {
			return true
		}
		upTo(c.Pos())
		b.WriteString(f.choice(c))
		at = c.End()
		return false
	})
	upTo(n.End())
	return b.String()
}

func (f *file) between(from, to token.Pos) string {
	return string(f.src[f.pkg.Fset.Position(from).Offset:f.pkg.Fset.Position(to).Offset])
}

// choice returns code that does what n does, or what the mutant of n does that
// was chosen. As only one can be chosen, the code of each has no others in it.
func (f *file) choice(n ast.Node) string {
	var b strings.Builder
	e, isExpr := n.(ast.Expr)
	s, _ := n.(ast.Stmt)
	for _, m := range f.mutants[n] {
		to := m.to
		if isExpr {
			to = "return " + to
		}
		fmt.Fprintf(&b, "if %s == %d {\n%s\n} else ", switchName, m.number, to)
	}
	switch {
	case isExpr:
		return fmt.Sprintf("func() %s {\n%s{\nreturn %s\n}\n}()", f.typeName(f.pkg.TypesInfo.TypeOf(e)), &b, f.inside(n))
	case f.post[s]:
		return fmt.Sprintf("func() {\n%s{\n%s\n}\n}()", &b, f.inside(n))
	default:
		return fmt.Sprintf("%s{\n%s\n}", &b, f.inside(n))
	}
}

func (f *file) typeName(t types.Type) string {
	return types.TypeString(types.Default(t), func(p *types.Package) string {
		if p == f.pkg.Types {
			return ""
		}
		return p.Name()
	})
}
