package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"math"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A mutant is one small change of the code.
type mutant struct {
	number  int    // from 1 on, by which the instrumented code knows it
	file    string // relative to the module
	line    int
	place   string // the function
	from    string // the code as it is
	to      string // the code instead; "" if it is deleted
	ordinal int    // among those that are otherwise the same, from 1
}

// String returns what the mutant is known by, on whatever line it stands.
func (m *mutant) String() string {
	s := fmt.Sprintf("%s %s: %s", m.file, m.place, brief(m.from))
	if m.to == "" {
		s += " deleted"
	} else {
		s += " -> " + brief(m.to)
	}
	if m.ordinal > 1 {
		s += fmt.Sprintf(" (%d)", m.ordinal)
	}
	return s
}

// brief returns code on one line, without what stands in its braces if it has
// several.
func brief(code string) string {
	if lines := strings.Split(code, "\n"); len(lines) > 1 {
		code = lines[0] + "...}"
	}
	return code
}

// A file is a source file and its mutants.
type file struct {
	pkg     *packages.Package
	name    string // relative to the module
	src     []byte
	syntax  *ast.File
	mutants map[ast.Node][]*mutant
	all     []*mutant
	first   int               // the number of all[0]
	post    map[ast.Stmt]bool // statements that a loop does after each turn
	whole   map[ast.Stmt]bool // statements that stand for themselves, in a block
}

func newFile(pkg *packages.Package, syntax *ast.File, name string, src []byte, first int) *file {
	f := &file{
		pkg: pkg, name: name, src: src, syntax: syntax, first: first,
		mutants: make(map[ast.Node][]*mutant),
		post:    make(map[ast.Stmt]bool),
		whole:   make(map[ast.Stmt]bool),
	}
	for _, d := range syntax.Decls {
		if d, ok := d.(*ast.FuncDecl); ok {
			signature := pkg.TypesInfo.Defs[d.Name].Type().(*types.Signature)
			f.function(d.Name.Name, signature, d.Body)
		}
	}
	seen := make(map[string]int)
	for _, m := range f.all {
		key := m.String()
		seen[key]++
		m.ordinal = seen[key]
	}
	return f
}

// function finds the mutants of a function's body.
func (f *file) function(place string, signature *types.Signature, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		mutate := func(from, to string) { f.mutate(n, place, from, to) }
		if e, ok := n.(ast.Expr); ok && f.constant(e, place) {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncLit:
			f.function(place, f.pkg.TypesInfo.TypeOf(n).(*types.Signature), n.Body)
			return false
		case *ast.FuncType, *ast.ArrayType, *ast.GenDecl:
			return false
		case *ast.BlockStmt:
			f.standAlone(n.List)
		case *ast.CommClause:
			f.standAlone(n.Body)
		case *ast.CaseClause:
			f.standAlone(n.Body)
			for _, c := range n.List {
				f.negate(place, c)
			}
		case *ast.IfStmt:
			f.negate(place, n.Cond)
			if n.Else == nil && f.whole[n] {
				mutate(f.text(n), "")
			}
		case *ast.ForStmt:
			f.negate(place, n.Cond)
			if n.Cond != nil {
				mutate(f.text(n), "")
			}
			f.post[n.Post] = n.Post != nil
		case *ast.RangeStmt:
			mutate(f.text(n), "")
		case *ast.ExprStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt, *ast.BranchStmt:
			if f.whole[n.(ast.Stmt)] {
				mutate(f.text(n), "")
			}
		case *ast.IncDecStmt:
			mutate(f.text(n), "")
			mutate(f.text(n), f.text(n.X)+map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok])
		case *ast.AssignStmt:
			f.assignment(n, place)
		case *ast.ReturnStmt:
			f.returned(n, place, signature)
		case *ast.BinaryExpr:
			f.binary(n, place)
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				mutate(f.text(n), f.text(n.X))
			}
		case *ast.CallExpr:
			if name := f.text(n.Fun); name == "min" || name == "max" {
				other := map[string]string{"min": "max", "max": "min"}[name]
				mutate(f.text(n), other+strings.TrimPrefix(f.text(n), name))
			}
		}
		return true
	})
}

func (f *file) standAlone(block []ast.Stmt) {
	for _, s := range block {
		f.whole[s] = true
	}
}

// mutate makes a mutant of node n.
func (f *file) mutate(n ast.Node, place, from, to string) {
	m := &mutant{
		number: f.first + len(f.all), file: f.name, line: f.pkg.Fset.Position(n.Pos()).Line,
		place: place, from: from, to: to,
	}
	f.mutants[n] = append(f.mutants[n], m)
	f.all = append(f.all, m)
}

// negate negates a condition that is no comparison: those have mutants anyway.
func (f *file) negate(place string, condition ast.Expr) {
	if condition == nil {
		return
	}
	if basic, ok := f.pkg.TypesInfo.TypeOf(condition).Underlying().(*types.Basic); !ok || basic.Info()&types.IsBoolean == 0 {
		return // a value that a switch compares
	}
	switch condition.(type) {
	case *ast.Ident, *ast.SelectorExpr, *ast.CallExpr, *ast.StarExpr:
		f.mutate(condition, place, f.text(condition), "!"+f.text(condition))
	}
}

var swapped = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.GEQ: {token.GTR, token.LSS},
	token.GTR: {token.GEQ, token.LEQ}, token.LEQ: {token.LSS, token.GTR},
	token.ADD: {token.SUB}, token.SUB: {token.ADD},
	token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL},
	token.AND: {token.OR}, token.OR: {token.AND}, token.AND_NOT: {token.AND},
}

// swapped returns what may stand for an operator whose result is of e's type:
// strings know no other than +.
func (f *file) swapped(op token.Token, e ast.Expr) []token.Token {
	if basic, ok := f.pkg.TypesInfo.TypeOf(e).Underlying().(*types.Basic); ok && op == token.ADD && basic.Info()&types.IsString != 0 {
		return nil
	}
	return swapped[op]
}

func (f *file) binary(n *ast.BinaryExpr, place string) {
	x, y := f.text(n.X), f.text(n.Y)
	if n.Op == token.LAND || n.Op == token.LOR {
		f.mutate(n, place, f.text(n), x)
		f.mutate(n, place, f.text(n), y)
		f.negate(place, n.X)
		f.negate(place, n.Y)
		return
	}
	for _, op := range f.swapped(n.Op, n) {
		f.mutate(n, place, f.text(n), fmt.Sprintf("%s %s %s", x, op, y))
	}
}

func (f *file) assignment(n *ast.AssignStmt, place string) {
	if n.Tok == token.DEFINE || !f.whole[n] && !f.post[n] {
		return
	}
	f.mutate(n, place, f.text(n), "")
	if n.Tok == token.ASSIGN {
		return
	}
	operator := n.Tok - token.ADD_ASSIGN + token.ADD // x op= y stands as far from x += y as op from +
	for _, op := range f.swapped(operator, n.Lhs[0]) {
		f.mutate(n, place, f.text(n), fmt.Sprintf("%s %s= %s", f.text(n.Lhs[0]), op, f.text(n.Rhs[0])))
	}
}

// returned zeroes each value of a return that may be something else.
func (f *file) returned(n *ast.ReturnStmt, place string, signature *types.Signature) {
	if len(n.Results) != signature.Results().Len() {
		return
	}
	for i, result := range n.Results {
		zero := f.zero(signature.Results().At(i).Type())
		if text := f.text(result); text == zero || f.neverSet(result, signature.Results()) {
			continue
		}
		var values []string
		for j, other := range n.Results {
			value := f.text(other)
			if j == i {
				value = zero
			}
			values = append(values, value)
		}
		f.mutate(n, place, f.text(n), "return "+strings.Join(values, ", "))
	}
}

// neverSet reports whether e is a named result, or a variable called zero, to
// which nothing was assigned further up.
func (f *file) neverSet(e ast.Expr, results *types.Tuple) bool {
	ident, ok := e.(*ast.Ident)
	if !ok {
		return false
	}
	object := f.pkg.TypesInfo.Uses[ident]
	isResult := ident.Name == "zero"
	for result := range results.Variables() {
		isResult = isResult || result == object
	}
	set := false
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if n, ok := n.(*ast.AssignStmt); ok && n.Pos() < e.Pos() {
			for _, target := range n.Lhs {
				id, ok := target.(*ast.Ident)
				set = set || ok && f.pkg.TypesInfo.ObjectOf(id) == object
			}
		}
		return true
	})
	return isResult && !set
}

// constant adds one to a number, unless it is the largest there is, and takes one
// off if it is not 0, or negates a truth value. It reports whether e is a
// constant.
func (f *file) constant(e ast.Expr, place string) bool {
	value := f.pkg.TypesInfo.Types[e].Value
	if value == nil {
		return false
	}
	switch value.Kind() {
	case constant.Bool:
		f.mutate(e, place, f.text(e), fmt.Sprint(!constant.BoolVal(value)))
	case constant.Int:
		if n, exact := constant.Int64Val(value); exact && n < math.MaxInt {
			f.mutate(e, place, f.text(e), f.text(e)+" + 1")
		}
		if constant.Sign(value) != 0 {
			f.mutate(e, place, f.text(e), f.text(e)+" - 1")
		}
	}
	return true
}

// zero returns how the zero value of a type is written.
func (f *file) zero(t types.Type) string {
	if basic, ok := t.(*types.Basic); ok {
		switch {
		case basic.Info()&types.IsBoolean != 0:
			return "false"
		case basic.Info()&types.IsNumeric != 0:
			return "0"
		case basic.Info()&types.IsString != 0:
			return `""`
		}
	}
	switch t.(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan, *types.Signature:
		return "nil"
	}
	if _, ok := t.(*types.TypeParam); !ok && types.IsInterface(t) {
		return "nil"
	}
	return "*new(" + f.typeName(t) + ")"
}

// text returns the code of n as it is.
func (f *file) text(n ast.Node) string {
	return f.between(n.Pos(), n.End())
}
