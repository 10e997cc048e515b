// Command apilist keeps the listing of the exported API in the folder api/: one file for each public
// package, one line for each exported name.
//
//	apilist [-check] [-dir api] MODULE...
//	apilist -examples MODULE...
//
// MODULE is the folder of a module. All its packages are public, except commands, those below an
// internal folder, and those that have no Go files besides tests. The types are those that the
// compiler has exported for linux/amd64, so the listing is the same on every machine.
//
// With -check nothing is written: it prints the lines that differ and fails if there are any. A change
// of the API is so a change of a file, which a review sees.
//
// With -examples it prints the exported functions and methods that no example uses, which is no
// error: not each needs one.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	check := flag.Bool("check", false, "compare only, and fail if the API has changed")
	examples := flag.Bool("examples", false, "print what no example uses, and nothing else")
	dir := flag.String("dir", "api", "the folder of the listing")
	flag.Parse()
	if *examples {
		if err := runExamples(os.Stdout, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "apilist:", err)
			os.Exit(2)
		}
		return
	}
	same, err := run(os.Stdout, *dir, flag.Args(), *check)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(2)
	}
	if !same {
		os.Exit(1)
	}
}

// run lists the modules and compares the result with the folder, or writes it there. It reports
// whether the folder is up to date.
func run(out io.Writer, dir string, modules []string, check bool) (bool, error) {
	files := map[string]string{}
	for _, module := range modules {
		packages, err := load(module)
		if err != nil {
			return false, fmt.Errorf("%s: %w", module, err)
		}
		for _, p := range packages {
			files[fileName(p.path)] = list(p.types, p.path)
		}
	}
	if check {
		return compare(out, dir, files)
	}
	return true, write(dir, files)
}

// runExamples lists what the examples of each module leave out.
func runExamples(out io.Writer, modules []string) error {
	for _, module := range modules {
		packages, err := load(module)
		if err == nil {
			err = listMissing(out, module, packages)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
	}
	return nil
}
