package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
	"strings"
)

// unit is a package of one file that is built in the module in dir.
type unit struct {
	dir, code string
}

// assemble returns a unit for each complete file, and one for all other blocks of the same module.
func assemble(blocks []block, packages map[string]string) ([]unit, error) {
	var units []unit
	drafts := map[string]*draft{}
	var dirs []string
	for _, b := range blocks {
		if b.skip {
			continue
		}
		if _, err := parse(b.code, parser.PackageClauseOnly); err == nil {
			if err := importable(b, b.code); err != nil {
				return nil, err
			}
			units = append(units, unit{b.dir, b.placed(b.code)})
			continue
		}
		if drafts[b.dir] == nil {
			drafts[b.dir] = &draft{}
			dirs = append(dirs, b.dir)
		}
		if err := drafts[b.dir].add(b); err != nil {
			return nil, err
		}
	}
	for _, dir := range dirs {
		code, err := drafts[dir].file(packages)
		if err != nil {
			return nil, err
		}
		units = append(units, unit{dir, code})
	}
	return units, nil
}

// draft is the file that the incomplete blocks of a document form.
type draft struct {
	imports      []string // as written
	declarations strings.Builder
	statements   strings.Builder // nested functions, still open
	ends         []string        // the end of each function, outermost first
}

// add adds a block of declarations or of statements.
func (d *draft) add(b block) error {
	code, err := d.takeImports(b)
	if err != nil {
		return err
	}
	_, errAsDeclarations := parse("package readme"+b.placed(code), 0)
	if errAsDeclarations == nil {
		d.declarations.WriteString(b.placed(code))
		return nil
	}
	f, err := parse("package readme\nfunc _() {"+b.placed(code)+"}", 0)
	if err != nil {
		return later(err, errAsDeclarations)
	}
	body := f.Decls[len(f.Decls)-1].(*ast.FuncDecl).Body
	result, end := "", "}\n"
	if returnsValue(body) {
		result, end = " error", "return nil\n}\n"
	}
	d.statements.WriteString("_ = func()" + result + " {" + b.placed(code))
	for _, name := range declared(body) {
		d.statements.WriteString("_ = " + name + "\n")
	}
	d.ends = append(d.ends, end)
	return nil
}

// takeImports adds the block's imports and returns its code with spaces instead of them.
func (d *draft) takeImports(b block) (string, error) {
	const clause = "package readme;"
	f, err := parse(clause+b.code, parser.ImportsOnly)
	if err != nil {
		return b.code, nil // the parsers that follow report the error better
	}
	if err := importable(b, clause+b.code); err != nil {
		return "", err
	}
	for _, spec := range f.Imports {
		line := spec.Path.Value
		if spec.Name != nil {
			line = spec.Name.Name + " " + line
		}
		if !slices.Contains(d.imports, line) {
			d.imports = append(d.imports, line)
		}
	}
	code := []byte(b.code)
	for _, decl := range f.Decls {
		for i := int(decl.Pos()) - 1; i < int(decl.End())-1; i++ {
			if at := i - len(clause); at < len(code) && code[at] != '\n' {
				code[at] = ' '
			}
		}
	}
	return string(code), nil
}

// file returns the complete file: the blocks, preceded by the imports and variables that they omit.
func (d *draft) file(packages map[string]string) (string, error) {
	slices.Reverse(d.ends)
	body := d.declarations.String() + "\nfunc _() {\n" + d.statements.String() + strings.Join(d.ends, "") + "}\n"
	f, err := parse("package readme\n"+body, 0)
	if err != nil {
		return "", err
	}
	imported := map[string]bool{}
	for _, line := range d.imports {
		imported[importName(line)] = true
	}
	var variables strings.Builder
	need := func(name string) {
		if path := packages[name]; path != "" && !imported[name] {
			imported[name] = true
			d.imports = append(d.imports, fmt.Sprintf("%s %q", name, path))
		}
	}
	seen := map[string]bool{}
	for _, id := range f.Unresolved {
		name := id.Name
		if variableTypes[name] != "" && !imported[name] && !seen[name] {
			fmt.Fprintf(&variables, "var %s %s\n", name, variableTypes[name])
			if pkg, _, ok := strings.Cut(strings.TrimLeft(variableTypes[name], "*[]"), "."); ok {
				need(pkg)
			}
		} else {
			need(name)
		}
		seen[name] = true
	}
	return "package readme\n\nimport (\n" + strings.Join(d.imports, "\n") + "\n)\n\n" + variables.String() + body, nil
}

// importName guesses the package name for an import line.
func importName(line string) string {
	if name, _, ok := strings.Cut(line, " "); ok {
		return name
	}
	parts := strings.Split(strings.Trim(line, `"`), "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && strings.Trim(last, "v0123456789") == "" {
		last = parts[len(parts)-2]
	}
	return last
}

// importable rejects a file that imports internal packages of this module. Syntax errors are left
// to the compiler.
func importable(b block, file string) error {
	f, err := parse(file, parser.ImportsOnly)
	if err != nil {
		return nil
	}
	for _, spec := range f.Imports {
		if isInternal(strings.Trim(spec.Path.Value, `"`)) {
			return fmt.Errorf("%s:%d: a reader can't import %s", b.file, b.line, spec.Path.Value)
		}
	}
	return nil
}

// returnsValue reports whether the function itself, not one inside it, returns a value.
func returnsValue(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if ret, ok := n.(*ast.ReturnStmt); ok && len(ret.Results) > 0 {
			found = true
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return found
}

// declared returns the variables that the statements declare in their own scope.
func declared(body *ast.BlockStmt) []string {
	var exprs []ast.Expr
	for _, stmt := range body.List {
		switch stmt := stmt.(type) {
		case *ast.AssignStmt:
			if stmt.Tok == token.DEFINE {
				exprs = append(exprs, stmt.Lhs...)
			}
		case *ast.DeclStmt:
			decl := stmt.Decl.(*ast.GenDecl)
			if decl.Tok != token.VAR {
				continue
			}
			for _, spec := range decl.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					exprs = append(exprs, id)
				}
			}
		}
	}
	var names []string
	for _, expr := range exprs {
		if id, ok := expr.(*ast.Ident); ok && id.Name != "_" {
			names = append(names, id.Name)
		}
	}
	return names
}

func parse(code string, mode parser.Mode) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", code, mode)
}

// later returns the syntax error that is further down: the other attempt was the worse guess.
func later(a, b error) error {
	line := func(err error) int {
		var list scanner.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			return list[0].Pos.Line
		}
		return 0
	}
	if line(b) > line(a) {
		return b
	}
	return a
}
