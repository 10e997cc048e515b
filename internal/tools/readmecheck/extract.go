package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// block is one fenced block of Go code.
type block struct {
	file string
	line int    // of the first line of code
	dir  string // of the module in which it is built
	skip bool
	from string // the file that has this code, "" for none
	code string
}

// placed returns the code preceded by a line directive with the block's position in the document.
func (b block) placed(code string) string {
	file, err := filepath.Abs(b.file)
	if err != nil {
		file = b.file
	}
	return fmt.Sprintf("\n//line %s:%d:1\n%s\n", file, b.line, code)
}

// extract returns the Go blocks of a Markdown document. A fence may be indented, as in a list; the
// code is then unindented by the same amount.
func extract(file, text string) ([]block, error) {
	var (
		blocks        []block
		open          *block // nil in a block of another language
		fence, indent string // of the current block, empty outside blocks
		line          int
	)
	for text := range strings.Lines(text) {
		line++
		text = strings.TrimRight(text, "\r\n")
		trimmed := strings.TrimLeft(text, " \t")
		switch {
		case fence == "":
			fence = fenceOf(trimmed)
			indent = text[:len(text)-len(trimmed)]
			info := strings.Fields(trimmed[len(fence):])
			if fence == "" || len(info) == 0 || info[0] != "go" {
				continue
			}
			b, err := newBlock(file, line, info[1:])
			if err != nil {
				return nil, err
			}
			open = &b
		case strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]+" ") == "":
			if open != nil {
				blocks = append(blocks, *open)
			}
			fence, open = "", nil
		case open != nil:
			open.code += strings.TrimPrefix(text, indent) + "\n"
		}
	}
	if fence != "" {
		return nil, fmt.Errorf("%s:%d: the last fenced block isn't closed", file, line)
	}
	return blocks, nil
}

// newBlock returns the block whose fence is in that line, with these words after the language.
func newBlock(file string, line int, words []string) (block, error) {
	b := block{file: file, line: line + 1, dir: "."}
	for _, word := range words {
		if dir, ok := strings.CutPrefix(word, "in="); ok {
			b.dir = dir
		} else if from, ok := strings.CutPrefix(word, "file="); ok {
			b.from = from
		} else if word == "skip" {
			b.skip = true
		} else {
			return b, fmt.Errorf("%s:%d: unknown word %q after the fence's go", file, line, word)
		}
	}
	return b, nil
}

// fenceOf returns the backticks or tildes with which a line opens a block, or "".
func fenceOf(line string) string {
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(line, mark)
		if n := len(line) - len(rest); n >= 3 && (mark == "~" || !strings.Contains(rest, mark)) {
			return line[:n]
		}
	}
	return ""
}
