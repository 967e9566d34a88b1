package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// An edit replaces code that a function has exactly once: statements that follow
// each other, or an expression. It finds them by their syntax; comments and the
// way in which the code is laid out don't matter. $old in the new code stands
// for the old. Without a function, the new code is added to the file.
type edit struct{ file, function, old, new string }

// apply returns the code of the files that the edits change, by their path.
func apply(root string, edits []edit) (map[string]string, error) {
	code := make(map[string]string)
	for _, e := range edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		if code[path] == "" {
			src, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			code[path] = string(src)
		}
		changed, err := e.apply(code[path])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.file, err)
		}
		code[path] = changed
	}
	return code, nil
}

func (e edit) apply(src string) (string, error) {
	if e.function == "" {
		return src + "\n" + e.new + "\n", nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, e.file, src, 0)
	if err != nil {
		return "", err
	}
	body := function(file, e.function)
	if body == nil {
		return "", fmt.Errorf("there is no function %s", e.function)
	}
	pattern, err := parsePattern(e.old)
	if err != nil {
		return "", fmt.Errorf("%q is neither an expression nor statements: %w", e.old, err)
	}
	places := pattern.find(body)
	if len(places) != 1 {
		return "", fmt.Errorf("%s has this %d times, not once:\n%s", e.function, len(places), e.old)
	}
	from, to := fset.Position(places[0].from).Offset, fset.Position(places[0].to).Offset
	return src[:from] + strings.ReplaceAll(e.new, "$old", src[from:to]) + src[to:], nil
}

// function returns the body of a function, which is named as in Type.Method.
func function(file *ast.File, name string) *ast.BlockStmt {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		full := f.Name.Name
		if f.Recv != nil {
			ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && !strings.Contains(full, ".") {
					full = id.Name + "." + full
				}
				return true
			})
		}
		if full == name {
			return f.Body
		}
	}
	return nil
}

// A pattern is an expression, or statements that follow each other.
type pattern struct {
	expr  ast.Expr
	stmts []ast.Stmt
}

func parsePattern(code string) (pattern, error) {
	if expr, err := parser.ParseExpr(code); err == nil {
		return pattern{expr: expr}, nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+code+"\n}", 0)
	if err != nil {
		return pattern{}, err
	}
	return pattern{stmts: file.Decls[0].(*ast.FuncDecl).Body.List}, nil
}

type place struct{ from, to token.Pos }

func (p pattern) find(body *ast.BlockStmt) (places []place) {
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case ast.Expr:
			if p.expr != nil && same(reflect.ValueOf(n), reflect.ValueOf(p.expr)) {
				places = append(places, place{n.Pos(), n.End()})
			}
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for i := 0; len(p.stmts) > 0 && i+len(p.stmts) <= len(list); i++ {
			run := list[i : i+len(p.stmts)]
			if slices.EqualFunc(run, p.stmts, func(a, b ast.Stmt) bool { return same(reflect.ValueOf(a), reflect.ValueOf(b)) }) {
				places = append(places, place{run[0].Pos(), run[len(run)-1].End()})
			}
		}
		return true
	})
	return places
}

// same reports whether two nodes are the same but for where they stand.
func same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	switch a.Interface().(type) {
	case token.Pos, *ast.Object, *ast.CommentGroup: //lint:ignore SA1019 the parser sets it, and it is to be passed over
		return true
	}
	switch a.Kind() {
	case reflect.Interface, reflect.Pointer:
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	default:
		return a.Interface() == b.Interface()
	}
}
