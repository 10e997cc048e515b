package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/sessionbridge/sessionbridge/"

// fileName returns the name of a package's file.
func fileName(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, module), "/", "-") + ".txt"
}

// write replaces the files of the folder.
func write(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	stored, err := read(dir)
	if err != nil {
		return err
	}
	for name := range stored {
		if _, ok := files[name]; !ok {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // not secret
			return err
		}
	}
	return nil
}

// read returns the files of the folder.
func read(dir string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(path)] = string(text)
	}
	return files, nil
}

// compare prints the lines that the folder has and the API hasn't, or the reverse, and reports whether
// there are none.
func compare(out io.Writer, dir string, files map[string]string) (bool, error) {
	stored, err := read(dir)
	if err != nil {
		return false, err
	}
	names := slices.Collect(maps.Keys(files))
	for name := range stored {
		if _, ok := files[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	same := true
	for _, name := range names {
		if stored[name] == files[name] {
			continue
		}
		same = false
		_, _ = fmt.Fprintf(out, "%s:\n", filepath.Join(dir, name))
		missing(out, "- ", stored[name], files[name])
		missing(out, "+ ", files[name], stored[name])
	}
	if !same {
		_, _ = fmt.Fprintln(out, "the exported API has changed; if that is meant,",
			"run `make api` and describe it in CHANGELOG.md")
	}
	return same, nil
}

// missing prints the lines of a text that another one doesn't have.
func missing(out io.Writer, mark, text, from string) {
	has := map[string]bool{}
	for line := range strings.Lines(from) {
		has[line] = true
	}
	for line := range strings.Lines(text) {
		if !has[line] {
			_, _ = fmt.Fprint(out, mark, line)
		}
	}
}
