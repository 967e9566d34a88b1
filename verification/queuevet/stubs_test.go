// Package queuevet checks that the command of that name knows the queues as they
// are: its own tests must not need the modules that it is about, and run on
// declarations of the same packages.
//
// Run its test with -count=1: go test sees no changes of the declarations.
package queuevet

import (
	"go/types"
	"os"
	"path/filepath"
	"testing"

	"github.com/boundq/queue/verification/internal/changed"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// irrelevant are the methods that queuevet need not know: they look, wait, end
// or print, and neither add items, nor take or mark them.
var irrelevant = map[string]bool{
	"Cap": true, "Empty": true, "Full": true, "Len": true, "LenOf": true, "Peek": true, "Stats": true,
	"Format": true, "GoString": true, "LogValue": true, "String": true,
	"Close": true, "Err": true, "Join": true, "Ready": true,
	"DeadLetters": true, "Handle": true, "Redrive": true,
}

func TestQueuevetKnowsTheMethodsOfTheQueuesAsTheyAre(t *testing.T) {
	root, err := changed.Root(t.Context())
	require.NoError(t, err)
	paths := []string{changed.Module, changed.Module + "/keyed", changed.Module + "/natsqueue"}
	real := load(t, &packages.Config{Dir: root}, paths)
	testdata := filepath.Join(root, "queuevet", "misuse", "testdata")
	known := load(t, &packages.Config{
		Dir: testdata,
		Env: append(os.Environ(), "GO111MODULE=off", "GOPATH="+testdata, "GOWORK=off", "GOPROXY=off"),
	}, paths)
	for _, path := range paths {
		for _, name := range []string{"Queue", "Latest", "Fair"} {
			obj := real[path].Scope().Lookup(name)
			if obj == nil {
				continue
			}
			stub := known[path].Scope().Lookup(name)
			require.NotNil(t, stub, "%s.%s", path, name)
			want, got := methods(obj), methods(stub)
			for method, signature := range want {
				if !irrelevant[method] {
					require.Equal(t, signature, got[method], "%s.%s.%s: follow in queuevet/misuse: testdata/src and api.go", path, name, method)
				}
				delete(got, method)
			}
			require.Empty(t, got, "%s.%s has no such methods any more", path, name)
		}
	}
}

func load(t *testing.T, config *packages.Config, paths []string) map[string]*types.Package {
	config.Mode = packages.LoadTypes
	loaded, err := packages.Load(config, paths...)
	require.NoError(t, err)
	byPath := map[string]*types.Package{}
	for _, p := range loaded {
		require.Empty(t, p.Errors)
		byPath[p.PkgPath] = p.Types
	}
	return byPath
}

// methods returns the types of parameters and results of the exported methods of
// a pointer to obj's type, without their names.
func methods(obj types.Object) map[string]string {
	signatures := map[string]string{}
	set := types.NewMethodSet(types.NewPointer(obj.Type()))
	for m := range set.Methods() {
		if fn := m.Obj().(*types.Func); fn.Exported() {
			s := fn.Signature()
			signatures[fn.Name()] = types.TypeString(unnamed(s.Params()), nil) + " " + types.TypeString(unnamed(s.Results()), nil)
		}
	}
	return signatures
}

func unnamed(tuple *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range tuple.Variables() {
		vars = append(vars, types.NewVar(0, nil, "", v.Type()))
	}
	return types.NewTuple(vars...)
}
