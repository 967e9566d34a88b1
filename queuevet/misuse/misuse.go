// Package misuse is a [golang.org/x/tools/go/analysis] pass that finds calls on
// queues of github.com/boundq/queue and its packages keyed and natsqueue that
// compile but are almost certainly wrong.
package misuse

import (
	"fmt"
	"go/ast"
	"go/token"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Analyzer is the pass. Its flag "blank" also reports results that are assigned
// to the blank identifier. It needs no facts about other packages: it knows the
// queues by their types, and follows variables, closures and method values of
// the package itself.
var Analyzer = &analysis.Analyzer{
	Name:     "queuevet",
	Doc:      doc,
	URL:      "https://pkg.go.dev/github.com/boundq/queue/queuevet",
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      run,
}

const doc = `report misuse of the queues of github.com/boundq/queue

The pass identifies queues by type, not by name. It reports:

  - TaskDone or TaskDoneN in the body of a loop over Tasks or Batches of the same
    queue. The loop marks its items done, so they are marked twice, and Join
    returns early. A body that takes items itself (Get, TryGet, GetBatch,
    TryGetBatch) may mark them.
  - Put or PutBatch in such a body, into the queue that the loop reads. If the
    queue is full and all workers do this, no worker is left to make room. It is
    not reported if the context has a deadline, if the queue is visibly unbounded,
    or if another goroutine makes the call.
  - Shutdown(true) whose result, the items that were still queued, is discarded.
  - The slice that Batches of package queue yields, kept beyond its turn: sent on
    a channel, stored outside the body, appended as a whole to a slice outside the
    body, or used by a goroutine. The loop reuses it. It is not reported if the
    body waits for the other goroutine, or leaves the loop.
  - Put, PutBatch, TryPut, TryPutBatch, Requeue or natsqueue's PutAfter whose
    error is discarded. If the queue does not accept the item, it is lost.

A result that is assigned to the blank identifier is considered discarded on
purpose, and reported only with -blank. The comment

	//queuevet:ignore REASON

silences the line on which it ends, or, if it stands alone, the next line.`

var blank bool

func init() {
	Analyzer.Flags.BoolVar(&blank, "blank", false, "also report results that are assigned to the blank identifier")
}

func run(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	c := newChecker(pass, in)
	in.Preorder([]ast.Node{(*ast.ExprStmt)(nil), (*ast.GoStmt)(nil), (*ast.DeferStmt)(nil), (*ast.AssignStmt)(nil)}, c.results)
	for l := range c.loops() {
		c.workers(l)
		if l.call.role&reuses != 0 {
			c.kept(l)
		}
	}
	return nil, nil
}

// report reports a finding once, unless its line is silenced.
func (c *checker) report(at token.Pos, format string, args ...any) {
	position := c.pass.Fset.Position(at)
	if c.reported[at] || c.ignored[line{position.Filename, position.Line}] {
		return
	}
	c.reported[at] = true
	c.pass.Report(analysis.Diagnostic{Pos: at, Message: fmt.Sprintf(format, args...)})
}
