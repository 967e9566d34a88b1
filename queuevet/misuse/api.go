package misuse

import (
	"go/types"
	"strings"
)

// A role is what a method does, as far as the reports are concerned.
type role uint8

const (
	ranges  role = 1 << iota // is ranged over, and marks what it yields done
	reuses                   // ranges, and yields a slice that it reuses at the next turn
	takes                    // removes items that the caller is to mark done
	marks                    // marks items done
	blocks                   // adds items, and blocks while the queue is full
	adds                     // adds items, and returns an error if it does not
	drains                   // returns the queued items if its argument is true
	resizes                  // changes the capacity
)

const module = "github.com/boundq/queue"

// methods holds the roles by the methods' types. The errors of ForcePut are not
// among those to look at: it is for items that may be lost.
var methods = map[string]map[string]role{
	module + ".Queue": {
		"Tasks": ranges, "Batches": ranges | reuses,
		"Get": takes, "TryGet": takes, "GetBatch": takes, "TryGetBatch": takes,
		"TaskDone": marks, "TaskDoneN": marks,
		"Put": blocks | adds, "PutBatch": blocks | adds, "TryPut": adds, "TryPutBatch": adds, "Requeue": adds,
		"Shutdown": drains, "Resize": resizes,
	},
	module + "/keyed.Latest": {
		"Tasks": ranges, "Get": takes, "TryGet": takes, "TaskDone": marks, "Put": adds, "Shutdown": drains,
	},
	module + "/keyed.Fair": {
		"Tasks": ranges, "Get": takes, "TryGet": takes, "TaskDone": marks,
		"Put": blocks | adds, "TryPut": adds, "Shutdown": drains,
	},
	module + "/natsqueue.Queue": {
		"Tasks": ranges, "Batches": ranges, "Get": takes, "TryGet": takes,
		"Put": blocks | adds, "PutAfter": blocks | adds, "PutBatch": blocks | adds, "TryPut": adds,
	},
}

// constructors holds which argument of a function is the capacity, which is
// none if it is not positive.
var constructors = map[string]int{
	module + ".New":             0,
	module + ".NewLIFO":         0,
	module + ".NewPriority":     0,
	module + "/keyed.NewFair":   0,
	module + "/keyed.NewSerial": 0,
}

// zeroUnbounded are the types whose zero value is an unbounded queue.
var zeroUnbounded = map[string]bool{module + ".Queue": true}

// pkgPath is p's import path, without what go vet adds to that of a package
// that is compiled together with its tests.
func pkgPath(p *types.Package) string {
	if p == nil {
		return ""
	}
	path, _, _ := strings.Cut(p.Path(), " ")
	return path
}

// typeName names the named type that t is, or points to: "path.Name".
func typeName(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return pkgPath(n.Obj().Pkg()) + "." + n.Obj().Name()
	}
	return ""
}

// roleOf returns what fn does, and nothing if it is not a queue's method.
func roleOf(fn *types.Func) role {
	recv := fn.Signature().Recv()
	if recv == nil {
		return 0
	}
	return methods[typeName(recv.Type())][fn.Name()]
}
