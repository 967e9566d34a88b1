package misuse

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ast/inspector"
)

// A turn is the body of a loop over Batches, of which it is known which
// variables hold the slice that is yielded, or a part of it.
type turn struct {
	c     *checker
	loop  loop
	holds map[types.Object]bool
}

// kept reports statements in the body of l by which its slice outlives the turn.
func (c *checker) kept(l loop) {
	if l.item == nil {
		return
	}
	t := turn{c, l, map[types.Object]bool{l.item: true}}
	for {
		known := len(t.holds)
		ast.Inspect(l.body, t.spread)
		if len(t.holds) == known {
			break
		}
	}
	body, _ := c.in.Root().FindNode(l.body)
	for cur := range body.Preorder((*ast.SendStmt)(nil), (*ast.AssignStmt)(nil), (*ast.GoStmt)(nil), (*ast.CallExpr)(nil)) {
		at, how := t.keeps(cur.Node())
		if at.IsValid() && !t.leavesAfter(cur) && !t.waitsAfter(cur) {
			c.report(at, "the slice that %s yields is %s, but the loop reuses it at the next turn; use slices.Clone(%s)", l, how, l.item.Name())
		}
	}
}

// spread adds the variables of the body to which n gives the slice.
func (t *turn) spread(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if len(n.Lhs) == len(n.Rhs) {
			for i, lhs := range n.Lhs {
				if t.held(n.Rhs[i]) {
					if obj := t.root(lhs); obj != nil && t.local(obj) {
						t.holds[obj] = true
					}
				}
			}
		}
	case *ast.ValueSpec:
		for i, v := range n.Values {
			if len(n.Names) == len(n.Values) && t.held(v) {
				t.holds[t.c.info.Defs[n.Names[i]]] = true
			}
		}
	}
	return true
}

// root returns the variable that lhs is, or that it is a part of, or nil.
func (t *turn) root(lhs ast.Expr) types.Object {
	e := ast.Unparen(lhs)
	if id, ok := e.(*ast.Ident); ok {
		return t.c.info.ObjectOf(id)
	}
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = ast.Unparen(x.X)
		case *ast.StarExpr:
			e = ast.Unparen(x.X)
		case *ast.SelectorExpr:
			if t.c.info.Selections[x] == nil { // a package's variable
				return t.c.info.Uses[x.Sel]
			}
			e = ast.Unparen(x.X)
		default:
			p, _ := t.c.place(e)
			return p.root
		}
	}
}

// local reports whether the variable is declared in the loop.
func (t *turn) local(obj types.Object) bool {
	return t.loop.node.Pos() <= obj.Pos() && obj.Pos() < t.loop.node.End()
}

// held reports whether e is the slice, a part of it, or contains it.
func (t *turn) held(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return t.holds[t.c.info.ObjectOf(e)]
	case *ast.SliceExpr:
		return t.held(e.X) && !(e.Slice3 && t.zero(e.Max))
	case *ast.UnaryExpr:
		return e.Op == token.AND && t.held(e.X)
	case *ast.StarExpr:
		return t.held(e.X)
	case *ast.TypeAssertExpr:
		return t.held(e.X)
	case *ast.SelectorExpr:
		return t.held(e.X) && types.Identical(t.c.info.TypeOf(e), t.loop.item.Type())
	case *ast.KeyValueExpr:
		return t.held(e.Value)
	case *ast.CompositeLit:
		return slices.ContainsFunc(e.Elts, t.held)
	case *ast.CallExpr:
		if t.c.info.Types[e.Fun].IsType() {
			_, isArray := t.c.info.TypeOf(e).Underlying().(*types.Array)
			return len(e.Args) == 1 && !isArray && t.held(e.Args[0])
		}
		if id, ok := ast.Unparen(e.Fun).(*ast.Ident); ok && t.c.info.Uses[id] == types.Universe.Lookup("append") {
			if _, part := ast.Unparen(e.Args[0]).(*ast.SliceExpr); part && t.held(e.Args[0]) {
				return true // the slice has no room behind its items, a part of it may
			}
			return !e.Ellipsis.IsValid() && slices.ContainsFunc(e.Args[1:], t.held)
		}
	}
	return false
}

func (t *turn) zero(e ast.Expr) bool {
	v := t.c.info.Types[e].Value
	return v != nil && v.ExactString() == "0"
}

// keeps reports where, and how, n lets the slice outlive the turn.
func (t *turn) keeps(n ast.Node) (token.Pos, string) {
	switch n := n.(type) {
	case *ast.SendStmt:
		if t.held(n.Value) {
			return n.Pos(), "sent on a channel"
		}
	case *ast.AssignStmt:
		if len(n.Lhs) != len(n.Rhs) {
			break
		}
		for i, lhs := range n.Lhs {
			if obj := t.root(lhs); obj == nil || t.local(obj) || !t.held(n.Rhs[i]) || t.overwritten(n, lhs) {
				continue
			}
			if _, isAppend := ast.Unparen(n.Rhs[i]).(*ast.CallExpr); isAppend {
				return n.Pos(), "appended as a whole to " + types.ExprString(lhs)
			}
			return n.Pos(), "stored in " + types.ExprString(lhs)
		}
	case *ast.GoStmt:
		if slices.ContainsFunc(n.Call.Args, t.held) || t.uses(n.Call.Fun) {
			return n.Pos(), "used by a goroutine"
		}
	case *ast.CallExpr:
		if t.startsGoroutine(n) && slices.ContainsFunc(n.Args, t.uses) {
			return n.Pos(), "used by a goroutine"
		}
	}
	return token.NoPos, ""
}

// overwritten reports whether the body assigns something to lhs after n that is
// neither the slice nor made from lhs.
func (t *turn) overwritten(n *ast.AssignStmt, lhs ast.Expr) bool {
	name := types.ExprString(lhs)
	found := false
	ast.Inspect(t.loop.body, func(m ast.Node) bool {
		if later, ok := m.(*ast.AssignStmt); ok && later.Pos() > n.End() && len(later.Lhs) == len(later.Rhs) {
			for i := range later.Lhs {
				found = found || types.ExprString(later.Lhs[i]) == name && !t.held(later.Rhs[i]) && !mentions(later.Rhs[i], name)
			}
		}
		return !found
	})
	return found
}

func mentions(e ast.Expr, name string) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		sub, ok := n.(ast.Expr)
		found = found || ok && types.ExprString(sub) == name
		return !found
	})
	return found
}

// uses reports whether e mentions the slice, for more than its length.
func (t *turn) uses(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if id, ok := ast.Unparen(n.Fun).(*ast.Ident); ok && t.c.info.Uses[id] == types.Universe.Lookup("len") {
				return false
			}
		case *ast.Ident:
			found = found || t.holds[t.c.info.Uses[n]]
		}
		return !found
	})
	return found
}

// startsGoroutine reports whether n has a function called in a goroutine, by
// sync.WaitGroup or errgroup.Group.
func (t *turn) startsGoroutine(n *ast.CallExpr) bool {
	sel, ok := ast.Unparen(n.Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	fn, ok := t.c.info.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Signature().Recv() == nil || fn.Name() != "Go" && fn.Name() != "TryGo" {
		return false
	}
	switch typeName(fn.Signature().Recv().Type()) {
	case "sync.WaitGroup", "golang.org/x/sync/errgroup.Group":
		return true
	}
	return false
}

// leavesAfter reports whether the loop has no next turn once cur was executed.
func (t *turn) leavesAfter(cur inspector.Cursor) bool {
	for f := range cur.Enclosing((*ast.FuncLit)(nil)) {
		if f.Node().Pos() > t.loop.body.Pos() {
			return false
		}
	}
	for ; cur.Node() != ast.Node(t.loop.body); cur = cur.Parent() {
		var list []ast.Stmt
		switch parent := cur.Parent().Node().(type) {
		case *ast.BlockStmt:
			list = parent.List
		case *ast.CaseClause:
			list = parent.Body
		case *ast.CommClause:
			list = parent.Body
		}
		if t.c.leaves(t.loop, list, t.breakable(cur)) {
			return true
		}
	}
	return false
}

// breakable reports whether an unlabelled break beside cur would not end the
// loop.
func (t *turn) breakable(cur inspector.Cursor) bool {
	for cur = cur.Parent(); cur.Node() != ast.Node(t.loop.body); cur = cur.Parent() {
		switch cur.Node().(type) {
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			return true
		}
	}
	return false
}

// waitsAfter reports whether the body waits for something, after cur and before
// its end, which may be the end of the slice's use: a method Wait, or a receive
// that is not from a context's Done.
func (t *turn) waitsAfter(cur inspector.Cursor) bool {
	body, _ := t.c.in.Root().FindNode(t.loop.body)
	for n := range body.Preorder((*ast.CallExpr)(nil), (*ast.UnaryExpr)(nil), (*ast.RangeStmt)(nil)) {
		if n.Node().Pos() < cur.Node().End() || !t.waits(n.Node()) {
			continue
		}
		if !elsewhere(n, cur) {
			return true
		}
	}
	return false
}

func (t *turn) waits(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		sel, ok := ast.Unparen(n.Fun).(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Wait"
	case *ast.RangeStmt:
		_, ok := t.c.info.TypeOf(n.X).Underlying().(*types.Chan)
		return ok
	case *ast.UnaryExpr:
		if n.Op != token.ARROW {
			return false
		}
		call, ok := ast.Unparen(n.X).(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		return !ok || sel.Sel.Name != "Done"
	}
	return false
}

// elsewhere reports whether n is not executed in the turn after cur: it is in a
// function of its own, or another case of the select that cur is one of.
func elsewhere(n, cur inspector.Cursor) bool {
	for f := range n.Enclosing((*ast.FuncLit)(nil)) {
		if !f.Contains(cur) && f.Node().Pos() > cur.Node().Pos() {
			return true
		}
	}
	for s := range cur.Enclosing((*ast.CommClause)(nil)) {
		for other := range n.Enclosing((*ast.CommClause)(nil)) {
			if other != s && other.Parent() == s.Parent() {
				return true
			}
		}
	}
	return false
}
