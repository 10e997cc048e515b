package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// listMissing prints the exported functions and methods that no example of the module uses. It goes by
// name: a method counts as used if an example uses one of that name, of whatever type.
func listMissing(out io.Writer, dir string, packages []public) error {
	used, err := namesInExamples(dir)
	if err != nil {
		return err
	}
	for _, p := range packages {
		for _, name := range p.types.Scope().Names() {
			switch obj := p.types.Scope().Lookup(name).(type) {
			case *types.Func:
				if obj.Exported() && !used[name] {
					_, _ = fmt.Fprintf(out, "%s.%s\n", p.path, name)
				}
			case *types.TypeName:
				for _, method := range unused(obj, used) {
					_, _ = fmt.Fprintf(out, "%s.%s.%s\n", p.path, name, method)
				}
			}
		}
	}
	return nil
}

// unused returns the exported methods of a type whose names aren't used, but those that only other
// packages call, such as String.
func unused(obj *types.TypeName, used map[string]bool) (methods []string) {
	if !obj.Exported() || obj.IsAlias() || types.IsInterface(obj.Type()) {
		return nil
	}
	for selection := range types.NewMethodSet(types.NewPointer(obj.Type())).Methods() {
		switch name := selection.Obj().Name(); {
		case !selection.Obj().Exported(), used[name]:
		case name == "String", name == "Format", name == "LogValue", name == "Error", name == "Unwrap":
		default:
			methods = append(methods, name)
		}
	}
	return methods
}

// namesInExamples returns the names that are used in test files with an example, below dir.
func namesInExamples(dir string) (map[string]bool, error) {
	used := map[string]bool{}
	return used, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		hasExample := false
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			hasExample = hasExample || ok && strings.HasPrefix(f.Name.Name, "Example")
		}
		if hasExample {
			ast.Inspect(file, func(n ast.Node) bool {
				if selector, ok := n.(*ast.SelectorExpr); ok {
					used[selector.Sel.Name] = true
				}
				return true
			})
		}
		return nil
	})
}
