// Command readmecheck compiles the Go code in README.md and docs/*.md, so that readers can copy it.
//
//	readmecheck [FILE.md...]
//
// It reads the fenced blocks whose first word after the fence is go. There are three kinds:
//
//   - A block with a package clause is a complete file and is built as it is, in a package of its
//     own.
//   - A block of declarations (functions, types, variables) is at the top level of a file.
//   - Everything else is a block of statements. Each becomes a function inside that of the previous
//     block, so that it can use the variables of all previous blocks and may redeclare them. Unused
//     variables are allowed, and so is `return` or `return err`.
//
// The blocks of the last two kinds in a document form one file. They may begin with imports, or
// omit them: an undeclared name is a package in the tables of names.go, a package of this module,
// or a variable of a type in the tables, such as b *bridge.Bridge or r *http.Request. Add names to
// the tables that documents use often.
//
// Words after the go of the fence, which a renderer doesn't show, change this:
//
//	```go in=compat     build it inside the nested module compat/, whose dependencies this one doesn't have
//	```go file=x/y.go   an excerpt of that file, which is compiled as it is; it must have the same lines
//	```go skip          not compiled: code of others, or a signature; the output counts these
//
// Errors have the line of the document. No file in the tree is written: the go command gets an
// overlay.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	files, err := documents(os.Args[1:])
	if err == nil {
		err = run(os.Stdout, ".", files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// documents returns the files to check: the named ones, or the README, which must exist, and those
// in docs/.
func documents(named []string) ([]string, error) {
	if len(named) > 0 {
		return named, nil
	}
	if _, err := os.Stat("README.md"); err != nil {
		return nil, fmt.Errorf("readmecheck: %w", err)
	}
	docs, err := filepath.Glob("docs/*.md")
	return append([]string{"README.md"}, docs...), err
}

// run checks the documents against the module in root.
func run(out io.Writer, root string, files []string) error {
	packages, err := knownPackages(root)
	if err != nil {
		return err
	}
	var all []error
	for _, file := range files {
		if err := check(out, root, file, packages); err != nil {
			all = append(all, fmt.Errorf("readmecheck: %s: %w", file, err))
		}
	}
	return errors.Join(all...)
}

// check compiles one document's blocks.
func check(out io.Writer, root, file string, packages map[string]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	blocks, err := extract(file, string(text))
	if err != nil {
		return err
	}
	blocks, excerpts, err := takeExcerpts(root, blocks)
	if err != nil {
		return err
	}
	units, err := assemble(blocks, packages)
	if err != nil {
		return err
	}
	if err := compile(root, units); err != nil {
		return err
	}
	skipped := 0
	for _, b := range blocks {
		if b.skip {
			skipped++
		}
	}
	fmt.Fprintf(out, "%s: %d Go blocks compile, %d are in a file, %d skipped\n",
		file, len(blocks)-skipped, excerpts, skipped)
	return nil
}
