package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	peerName     = "previous"
	rootPath     = "github.com/boundq/queue"
	modulePath   = "github.com/boundq/previous" // of the module at the commit
	previousMod  = "module " + modulePath + "\n\ngo 1.25.0\n"
	adapterType  = "ours"
	adapterMaker = "ourPeer"
)

// extract writes the packages of the root module in a tar archive into dir, as a
// module with another path, and returns the methods of its Queue.
func extract(archive io.Reader, dir string) (methods map[string]bool, err error) {
	files := map[string][]byte{}
	var nested []string // directories of other modules
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch {
		case path.Base(h.Name) == "go.mod" && path.Dir(h.Name) != ".":
			nested = append(nested, path.Dir(h.Name)+"/")
		case strings.HasSuffix(h.Name, ".go") && !strings.HasSuffix(h.Name, "_test.go"):
			if files[h.Name], err = io.ReadAll(r); err != nil {
				return nil, err
			}
		}
	}
	methods = map[string]bool{}
	for name, text := range files {
		if slices.ContainsFunc(nested, func(dir string) bool { return strings.HasPrefix(name, dir) }) {
			continue
		}
		if path.Dir(name) == "." {
			if err := addMethods(methods, name, text); err != nil {
				return nil, err
			}
		}
		text = bytes.ReplaceAll(text, []byte(`"`+rootPath), []byte(`"`+modulePath))
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, text, 0o666); err != nil {
			return nil, err
		}
	}
	if len(methods) == 0 {
		return nil, errors.New("the commit has no Queue in its root")
	}
	return methods, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(previousMod), 0o666)
}

// addMethods adds the methods of Queue that a file declares.
func addMethods(methods map[string]bool, name string, text []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && receiver(f) == "Queue" {
			methods[f.Name.Name] = true
		}
	}
	return nil
}

// receiver returns the name of the type that f is a method of, if any.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// adapt makes a peer of the queue's own adapter: one for the module at
// modulePath, whose Queue has these methods. It leaves out what calls others.
func adapt(source []byte, methods map[string]bool) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "peers_queue.go", source, 0)
	if err != nil {
		return nil, err
	}
	file.Decls = slices.DeleteFunc(file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && receiver(f) == adapterType && !callsOnly(f, methods)
	})
	renamed := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && (name.Name == adapterType || name.Name == adapterMaker) {
			name.Name = peerName + name.Name
			renamed++
		}
		return true
	})
	if renamed < 2 {
		return nil, fmt.Errorf("peers_queue.go has no %s and %s", adapterType, adapterMaker)
	}
	file.Decls = slices.DeleteFunc(file.Decls, func(d ast.Decl) bool { return isImport(d) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "package main\n\nimport (\n")
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		switch {
		case err != nil:
			return nil, err
		case name == rootPath:
			fmt.Fprintf(&b, "queue %q\n", modulePath)
		case uses(file.Decls, path.Base(name)):
			fmt.Fprintf(&b, "%q\n", name)
		}
	}
	fmt.Fprintf(&b, ")\n\nfunc init() { peers = append(peers, %s(%q)) }\n", peerName+adapterMaker, peerName)
	for _, d := range file.Decls {
		b.WriteString("\n")
		if err := format.Node(&b, files, d); err != nil {
			return nil, err
		}
		b.WriteString("\n")
	}
	return format.Source(b.Bytes())
}

func isImport(d ast.Decl) bool {
	g, ok := d.(*ast.GenDecl)
	return ok && g.Tok == token.IMPORT
}

// callsOnly reports whether f selects nothing of its queue, the field q, but
// these methods.
func callsOnly(f *ast.FuncDecl, methods map[string]bool) bool {
	only := true
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if of, ok := call.X.(*ast.SelectorExpr); ok && of.Sel.Name == "q" {
				only = only && methods[call.Sel.Name]
			}
		}
		return true
	})
	return only
}

// uses reports whether the declarations select something of a package.
func uses(decls []ast.Decl, pkg string) bool {
	return slices.ContainsFunc(decls, func(d ast.Decl) bool {
		found := false
		ast.Inspect(d, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, ok := s.X.(*ast.Ident)
				found = found || ok && x.Name == pkg
			}
			return true
		})
		return found
	})
}

// writeOverlay writes the file that go build -overlay reads: the files to read
// in place of others.
func writeOverlay(file string, replace map[string]string) error {
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o666)
}
