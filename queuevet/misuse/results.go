package misuse

import (
	"go/ast"
	"go/constant"
)

// results reports errors and drained items that a statement discards.
func (c *checker) results(n ast.Node) {
	var e ast.Expr
	switch n := n.(type) {
	case *ast.ExprStmt:
		e = n.X
	case *ast.GoStmt:
		e = n.Call
	case *ast.DeferStmt:
		e = n.Call
	case *ast.AssignStmt:
		if !blank || len(n.Rhs) != 1 || !isBlank(n.Lhs[len(n.Lhs)-1]) {
			return
		}
		e = n.Rhs[0]
	}
	call, ok := c.queueCall(e)
	if !ok {
		return
	}
	switch {
	case call.role&adds != 0:
		c.report(e.Pos(), "the error of %s is ignored: an item that %s does not accept is lost; handle the error",
			call.name, call.queue)
	case call.role&drains != 0 && c.isTrue(call.args):
		c.report(e.Pos(), "Shutdown(true) returns the items that were still queued, and this discards them; use the result, or call Shutdown(false) to let workers take them")
	}
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// isTrue reports whether args is the constant true.
func (c *checker) isTrue(args []ast.Expr) bool {
	if len(args) != 1 {
		return false
	}
	v := c.info.Types[args[0]].Value
	return v != nil && v.Kind() == constant.Bool && constant.BoolVal(v)
}
