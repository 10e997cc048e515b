package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// takeExcerpts returns the blocks that aren't excerpts of a file, and how many are. Each of these must
// be in its file as it is: the file is compiled with its module, so the document can't have other code
// than the one that runs.
func takeExcerpts(root string, blocks []block) (others []block, excerpts int, err error) {
	for _, b := range blocks {
		if b.from == "" {
			others = append(others, b)
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(b.from)))
		if err != nil {
			return nil, 0, fmt.Errorf("%s:%d: %w", b.file, b.line, err)
		}
		if !strings.Contains(unindented(string(text)), unindented(b.code)) {
			return nil, 0, fmt.Errorf("%s:%d: %s has other code", b.file, b.line, b.from)
		}
		excerpts++
	}
	return others, excerpts, nil
}

// unindented returns the text without the indentation of its lines, so that statements inside of a
// function are found.
func unindented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimLeft(line, " \t"))
	}
	return out.String()
}
