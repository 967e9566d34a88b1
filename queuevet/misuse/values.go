package misuse

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/inspector"
)

// A checker checks one package.
type checker struct {
	pass     *analysis.Pass
	info     *types.Info
	in       *inspector.Inspector
	vars     map[*types.Var]*variable
	resized  map[*types.Var]bool // queues whose Resize the package mentions
	ignored  map[line]bool
	reported map[token.Pos]bool
}

// A variable is what is known of the values of a variable or field.
type variable struct {
	values  []value
	opaque  bool        // it may have others
	changes []token.Pos // where it is assigned to
}

// A value is an expression, or the result of a call with that index.
type value struct {
	expr  ast.Expr
	index int
}

func newChecker(pass *analysis.Pass, in *inspector.Inspector) *checker {
	c := &checker{
		pass:     pass,
		info:     pass.TypesInfo,
		in:       in,
		vars:     map[*types.Var]*variable{},
		resized:  map[*types.Var]bool{},
		ignored:  ignoredLines(pass),
		reported: map[token.Pos]bool{},
	}
	in.Preorder([]ast.Node{
		(*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil), (*ast.RangeStmt)(nil), (*ast.IncDecStmt)(nil), (*ast.UnaryExpr)(nil),
		(*ast.CompositeLit)(nil), (*ast.FuncType)(nil), (*ast.FuncDecl)(nil), (*ast.SelectorExpr)(nil),
	}, c.note)
	return c
}

// note collects the values that n gives to variables.
func (c *checker) note(n ast.Node) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for i, lhs := range n.Lhs {
			switch {
			case n.Tok != token.ASSIGN && n.Tok != token.DEFINE:
				c.opaque(lhs)
			case len(n.Lhs) == len(n.Rhs):
				c.give(lhs, n.Rhs[i], 0)
			default:
				c.give(lhs, n.Rhs[0], i)
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			switch {
			case len(n.Values) == len(n.Names):
				c.give(name, n.Values[i], 0)
			case len(n.Values) > 0:
				c.give(name, n.Values[0], i)
			}
		}
	case *ast.RangeStmt:
		c.opaque(n.Key)
		c.opaque(n.Value)
	case *ast.IncDecStmt:
		c.opaque(n.X)
	case *ast.UnaryExpr: // code that has the address of a variable can set it; a struct's fields are looked at by themselves
		if v := c.variable(n.X); n.Op == token.AND && v != nil {
			if _, ok := v.Type().Underlying().(*types.Struct); !ok {
				c.entry(v).opaque = true
			}
		}
	case *ast.CompositeLit:
		c.noteFields(n)
	case *ast.FuncDecl:
		c.opaqueFields(n.Recv)
	case *ast.FuncType:
		c.opaqueFields(n.Params)
		c.opaqueFields(n.Results)
	case *ast.SelectorExpr:
		if s := c.info.Selections[n]; s != nil && s.Kind() == types.MethodVal {
			if fn, ok := s.Obj().(*types.Func); ok && roleOf(fn)&resizes != 0 {
				if v := c.variable(n.X); v != nil {
					c.resized[v] = true
				}
			}
		}
	}
}

func (c *checker) noteFields(lit *ast.CompositeLit) {
	t := c.info.TypeOf(lit)
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			c.give(kv.Key, kv.Value, 0)
		} else if i < s.NumFields() {
			v := c.entry(s.Field(i).Origin())
			v.values = append(v.values, value{e, 0})
		}
	}
}

func (c *checker) opaqueFields(list *ast.FieldList) {
	if list == nil {
		return
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			c.opaque(name)
		}
	}
}

func (c *checker) entry(v *types.Var) *variable {
	e := c.vars[v]
	if e == nil {
		e = &variable{opaque: v.Exported() && (v.IsField() || v.Parent() == c.pass.Pkg.Scope())}
		c.vars[v] = e
	}
	return e
}

func (c *checker) give(lhs, rhs ast.Expr, index int) {
	if v := c.variable(lhs); v != nil {
		e := c.entry(v)
		e.values = append(e.values, value{rhs, index})
		e.changes = append(e.changes, rhs.Pos())
	}
}

func (c *checker) opaque(lhs ast.Expr) {
	if v := c.variable(lhs); v != nil {
		e := c.entry(v)
		e.opaque = true
		e.changes = append(e.changes, lhs.Pos())
	}
}

// variable returns the variable or field that e names, or nil.
func (c *checker) variable(e ast.Expr) *types.Var {
	if e == nil {
		return nil
	}
	var obj types.Object
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		obj = c.info.ObjectOf(e)
	case *ast.SelectorExpr:
		obj = c.info.ObjectOf(e.Sel)
	}
	if v, ok := obj.(*types.Var); ok {
		return v.Origin()
	}
	return nil
}

// only returns the one value that a variable ever has.
func (c *checker) only(e ast.Expr) (value, bool) {
	id, ok := ast.Unparen(e).(*ast.Ident)
	if !ok {
		return value{}, false
	}
	v := c.variable(id)
	if v == nil {
		return value{}, false
	}
	known := c.vars[v]
	if known == nil || known.opaque || len(known.values) != 1 {
		return value{}, false
	}
	return known.values[0], true
}

// resolve follows variables that have one value to that value.
func (c *checker) resolve(e ast.Expr) ast.Expr {
	for range 10 { // a variable may be its own value's
		v, ok := c.only(e)
		if !ok || v.index != 0 || c.isTuple(v.expr) {
			break
		}
		e = v.expr
	}
	return ast.Unparen(e)
}

func (c *checker) isTuple(e ast.Expr) bool {
	_, ok := c.info.TypeOf(e).(*types.Tuple)
	return ok
}

// A place is where a value is found: a variable, and a way of fields and
// elements from there. Equal places hold the same value as long as none of what
// they go by is assigned to.
type place struct {
	root types.Object
	path string
}

// place returns the place of e and the variables that it goes by. Its root is
// nil if it cannot be told.
func (c *checker) place(e ast.Expr) (place, []types.Object) {
	return c.placeDeep(e, 0)
}

func (c *checker) placeDeep(e ast.Expr, depth int) (p place, by []types.Object) {
	if depth > 20 {
		return place{}, nil
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		v, ok := c.info.ObjectOf(e).(*types.Var)
		if !ok {
			return place{}, nil
		}
		if known, ok := c.only(e); ok && known.index == 0 && !c.isTuple(known.expr) && sharesReferent(v.Type()) {
			if p, by := c.placeDeep(known.expr, depth+1); p.root != nil && c.constant(by, v) {
				return p, by
			}
		}
		return place{root: v}, []types.Object{v}
	case *ast.StarExpr:
		return c.placeDeep(e.X, depth+1)
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return c.placeDeep(e.X, depth+1)
		}
	case *ast.SelectorExpr:
		s := c.info.Selections[e]
		if s == nil { // a package's variable
			return c.placeDeep(e.Sel, depth+1)
		}
		if s.Kind() == types.FieldVal {
			p, by = c.placeDeep(e.X, depth+1)
			return c.along(p, by, s.Recv(), s.Index())
		}
	case *ast.IndexExpr:
		p, by = c.placeDeep(e.X, depth+1)
		if v := c.info.Types[e.Index].Value; v != nil {
			p.path += "[" + v.ExactString() + "]"
			return p, by
		}
		if i := c.variable(e.Index); i != nil && !i.IsField() {
			p.path += fmt.Sprintf("[%s@%d]", i.Name(), i.Pos())
			return p, append(by, i)
		}
	}
	return place{}, nil
}

// along extends p by the fields that index, as of a [types.Selection], goes by.
func (c *checker) along(p place, by []types.Object, t types.Type, index []int) (place, []types.Object) {
	if p.root == nil {
		return place{}, nil
	}
	for _, i := range index {
		if ptr, ok := t.Underlying().(*types.Pointer); ok {
			t = ptr.Elem()
		}
		s, ok := t.Underlying().(*types.Struct)
		if !ok {
			return place{}, nil
		}
		p.path += "." + s.Field(i).Name()
		by = append(by, s.Field(i).Origin())
		t = s.Field(i).Type()
	}
	return p, by
}

// sharesReferent reports whether a copy of a value of type t is the same thing.
func sharesReferent(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Map, *types.Chan, *types.Slice:
		return true
	}
	return false
}

// constant reports whether no statement in the scope of alias, from its
// declaration on, assigns to one of the variables.
func (c *checker) constant(by []types.Object, alias *types.Var) bool {
	for _, obj := range by {
		v, ok := obj.(*types.Var)
		if !ok || c.vars[v] == nil {
			continue
		}
		for _, at := range c.vars[v].changes {
			if alias.Parent() != nil && alias.Pos() < at && at < alias.Parent().End() {
				return false
			}
		}
	}
	return true
}

// assignedIn reports whether a statement in body assigns to one of the
// variables.
func (c *checker) assignedIn(body ast.Node, vars []types.Object) bool {
	found := false
	hit := func(e ast.Expr) {
		v := c.variable(e)
		for _, w := range vars {
			found = found || v != nil && w == types.Object(v)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				hit(lhs)
			}
		case *ast.IncDecStmt:
			hit(n.X)
		case *ast.RangeStmt:
			hit(n.Key)
			hit(n.Value)
		}
		return !found
	})
	return found
}

// A queueCall is a call of a queue's method.
type queueCall struct {
	node  *ast.CallExpr
	role  role
	typ   string // of the queue: "path.Name"
	name  string // of the method
	recv  ast.Expr
	queue string // recv as it is written
	args  []ast.Expr
	place place
	by    []types.Object
}

// queueCall returns the call of a queue's method that e is, through method
// values and method expressions too.
func (c *checker) queueCall(e ast.Expr) (queueCall, bool) {
	node, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return queueCall{}, false
	}
	fun, ok := c.resolve(node.Fun).(*ast.SelectorExpr)
	if !ok {
		return queueCall{}, false
	}
	s := c.info.Selections[fun]
	if s == nil {
		return queueCall{}, false
	}
	fn, ok := s.Obj().(*types.Func)
	if !ok || roleOf(fn) == 0 {
		return queueCall{}, false
	}
	call := queueCall{node: node, role: roleOf(fn), typ: typeName(fn.Signature().Recv().Type()), name: fn.Name(), args: node.Args}
	embedded := s.Index()[:len(s.Index())-1]
	recv := fun.X
	if s.Kind() == types.MethodExpr {
		if len(node.Args) == 0 {
			return queueCall{}, false
		}
		recv, call.args = node.Args[0], node.Args[1:]
	}
	call.recv, call.queue = recv, types.ExprString(recv)
	call.place, call.by = c.place(recv)
	call.place, call.by = c.along(call.place, call.by, s.Recv(), embedded)
	return call, true
}

// unbounded reports whether the queue that e is can be seen to have no capacity:
// all values that the package gives to the variable or field are such queues.
func (c *checker) unbounded(e ast.Expr, depth int) bool {
	if depth > 10 {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.UnaryExpr:
		return e.Op == token.AND && c.unbounded(e.X, depth+1)
	case *ast.StarExpr:
		return c.unbounded(e.X, depth+1)
	case *ast.CompositeLit:
		return zeroUnbounded[typeName(c.info.TypeOf(e))]
	case *ast.CallExpr:
		return c.makesUnbounded(e)
	case *ast.Ident, *ast.SelectorExpr:
		v := c.variable(e)
		if v == nil || c.resized[v] {
			return false
		}
		known := c.vars[v]
		if known == nil {
			known = c.entry(v)
		}
		if known.opaque {
			return false
		}
		_, pointer := v.Type().Underlying().(*types.Pointer)
		if len(known.values) == 0 && (pointer || !zeroUnbounded[typeName(v.Type())]) {
			return false
		}
		for _, val := range known.values {
			if val.index != 0 || !c.unbounded(val.expr, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}

func (c *checker) makesUnbounded(e *ast.CallExpr) bool {
	fun := ast.Unparen(e.Fun)
	switch f := fun.(type) { // type arguments
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	var obj types.Object
	switch f := ast.Unparen(fun).(type) {
	case *ast.Ident:
		obj = c.info.Uses[f]
	case *ast.SelectorExpr:
		obj = c.info.Uses[f.Sel]
	}
	switch obj := obj.(type) {
	case *types.Builtin:
		return obj.Name() == "new" && zeroUnbounded[typeName(c.info.TypeOf(e))]
	case *types.Func:
		i, ok := constructors[pkgPath(obj.Pkg())+"."+obj.Name()]
		if !ok || obj.Signature().Recv() != nil || i >= len(e.Args) {
			return false
		}
		v := c.info.Types[e.Args[i]].Value
		return v != nil && constant.Sign(v) <= 0
	}
	return false
}

// deadline reports whether the context e can be seen to end: one of its values
// comes from WithTimeout or WithDeadline, or is made from such a context.
func (c *checker) deadline(e ast.Expr, depth int) bool {
	if depth > 10 {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident, *ast.SelectorExpr:
		v := c.variable(e)
		if v == nil || c.vars[v] == nil {
			return false
		}
		for _, val := range c.vars[v].values {
			if c.deadline(val.expr, depth+1) {
				return true
			}
		}
	case *ast.CallExpr:
		if name, ok := c.contextFunc(e); ok {
			switch name {
			case "WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause":
				return true
			case "WithoutCancel":
				return false
			}
		}
		for _, arg := range e.Args {
			if typeName(c.info.TypeOf(arg)) == "context.Context" && c.deadline(arg, depth+1) {
				return true
			}
		}
	}
	return false
}

// contextFunc returns the name of the function of package context that e calls.
func (c *checker) contextFunc(e *ast.CallExpr) (string, bool) {
	sel, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	fn, ok := c.info.Uses[sel.Sel].(*types.Func)
	return sel.Sel.Name, ok && pkgPath(fn.Pkg()) == "context" && fn.Signature().Recv() == nil
}
