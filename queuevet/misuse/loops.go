package misuse

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"iter"
)

// A loop is a loop over Tasks or Batches.
type loop struct {
	call  queueCall
	node  ast.Node // *ast.RangeStmt, or *ast.CallExpr that calls the iterator with a function
	body  *ast.BlockStmt
	item  types.Object // what a turn yields, or nil
	label types.Object
}

func (l loop) String() string { return l.call.queue + "." + l.call.name }

// loops returns the loops of the package.
func (c *checker) loops() iter.Seq[loop] {
	return func(yield func(loop) bool) {
		for cur := range c.in.Root().Preorder((*ast.RangeStmt)(nil), (*ast.CallExpr)(nil)) {
			l, ok := c.loop(cur.Node())
			if !ok {
				continue
			}
			if s, ok := cur.Parent().Node().(*ast.LabeledStmt); ok {
				l.label = c.info.Defs[s.Label]
			}
			if !yield(l) {
				return
			}
		}
	}
}

// loop returns the loop over a queue that n is.
func (c *checker) loop(n ast.Node) (l loop, ok bool) {
	l.node = n
	switch n := n.(type) {
	case *ast.RangeStmt:
		l.call, ok = c.queueCall(c.resolve(n.X))
		l.body = n.Body
		if id, isIdent := n.Key.(*ast.Ident); isIdent {
			l.item = c.info.ObjectOf(id)
		}
	case *ast.CallExpr:
		if len(n.Args) != 1 {
			return l, false
		}
		body, isLit := ast.Unparen(n.Args[0]).(*ast.FuncLit)
		if !isLit {
			return l, false
		}
		l.call, ok = c.queueCall(c.resolve(n.Fun))
		l.body = body.Body
		if names := body.Type.Params.List; len(names) == 1 && len(names[0].Names) == 1 {
			l.item = c.info.Defs[names[0].Names[0]]
		}
	}
	return l, ok && l.call.role&ranges != 0
}

// workers reports calls in the body of l that mark its items done a second time,
// or that can block it on itself.
func (c *checker) workers(l loop) {
	if l.call.place.root == nil || c.assignedIn(l.body, l.call.by) {
		return
	}
	var own []bodyCall
	took := false
	for _, call := range c.callsIn(l.body) {
		if call.place == l.call.place {
			own = append(own, call)
			took = took || call.role&takes != 0
		}
	}
	for _, call := range own {
		switch {
		case call.role&marks != 0 && !took:
			c.report(call.at, "%s in the body of a loop over %s marks an item done that the loop marks too, so Join returns early; remove the call",
				call.name, l)
		case call.role&blocks != 0 && call.inTurn && !c.deadline(call.args[0], 0) && !c.unbounded(call.recv, 0):
			c.report(call.at, "%s blocks while the queue is full, and all workers may be blocked like this in their loops over %s; %s, or a context with a timeout",
				call.name, l, instead(call.queueCall))
		}
	}
}

// instead returns what to write for a call that blocks.
func instead(q queueCall) string {
	switch {
	case q.typ != module+".Queue":
		return "use TryPut"
	case q.name == "PutBatch":
		return "use Requeue, which never blocks, or TryPutBatch"
	}
	return "use Requeue, which never blocks, or TryPut"
}

// A bodyCall is a call of a queue's method in the body of a loop.
type bodyCall struct {
	queueCall
	at     token.Pos // of the call, or of the one in the body that leads there
	inTurn bool      // the turn of the loop does not go on before the call returns
}

// callsIn returns the calls of queues' methods in body, in functions that stand
// in it, and in functions of local variables that it calls.
func (c *checker) callsIn(body *ast.BlockStmt) []bodyCall {
	w := bodyWalk{c: c, body: body, followed: map[follow]bool{}}
	w.walk(body, true, token.NoPos)
	return w.calls
}

type bodyWalk struct {
	c        *checker
	body     *ast.BlockStmt
	followed map[follow]bool
	calls    []bodyCall
}

type follow struct {
	fun    *ast.FuncLit
	inTurn bool
}

// walk visits n. Findings are at the position at, if that is valid.
func (w *bodyWalk) walk(n ast.Node, inTurn bool, at token.Pos) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			w.call(n.Call, false, inTurn, at)
			return false
		case *ast.DeferStmt: // runs when the loop has ended
			w.call(n.Call, false, inTurn, at)
			return false
		case *ast.CallExpr:
			w.call(n, inTurn, inTurn, at)
			return false
		case *ast.FuncLit: // to be called by someone, at some time
			w.walk(n.Body, false, at)
			return false
		}
		return true
	})
}

// call visits a call, whose arguments are evaluated in the turn if argsInTurn.
func (w *bodyWalk) call(n *ast.CallExpr, inTurn, argsInTurn bool, at token.Pos) {
	if q, ok := w.c.queueCall(n); ok {
		here := at
		if !here.IsValid() {
			here = n.Pos()
		}
		w.calls = append(w.calls, bodyCall{q, here, inTurn})
	}
	switch fun := w.c.resolve(n.Fun).(type) {
	case *ast.FuncLit:
		if key := (follow{fun, inTurn}); !w.followed[key] {
			w.followed[key] = true
			if !at.IsValid() && (fun.Pos() < w.body.Pos() || w.body.End() < fun.End()) {
				at = n.Pos()
			}
			w.walk(fun.Body, inTurn, at)
		}
	default:
		w.walk(n.Fun, argsInTurn, at)
	}
	_, isLoop := w.c.loop(n)
	for _, arg := range n.Args {
		if lit, ok := ast.Unparen(arg).(*ast.FuncLit); ok && isLoop {
			w.walk(lit.Body, inTurn, at)
		} else {
			w.walk(arg, argsInTurn, at)
		}
	}
}

// leaves reports whether the statements end the loop.
func (c *checker) leaves(l loop, list []ast.Stmt, nested bool) bool {
	if len(list) == 0 {
		return false
	}
	switch last := list[len(list)-1].(type) {
	case *ast.ReturnStmt:
		if _, isRange := l.node.(*ast.RangeStmt); isRange {
			return true
		}
		if len(last.Results) != 1 { // a named result, of which nothing is known
			return false
		}
		v := c.info.Types[last.Results[0]].Value
		return v != nil && !constant.BoolVal(v)
	case *ast.BranchStmt:
		if last.Tok != token.BREAK {
			return false
		}
		if last.Label != nil {
			return l.label != nil && c.info.Uses[last.Label] == l.label
		}
		return !nested
	case *ast.ExprStmt:
		call, ok := last.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fun.(*ast.Ident)
		return ok && c.info.Uses[id] == types.Universe.Lookup("panic")
	}
	return false
}
