// Package output writes results: tables and readable JSON to a person, JSON lines to a program.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
)

// IsTerminal reports whether a person may be reading what is written.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Printer writes the results of one command.
type Printer struct {
	w     io.Writer
	table *tabwriter.Writer // nil: JSON lines
}

// New returns a Printer for a person, with a table that has these columns, or for a program.
// Without columns a result is written for a person as indented JSON.
func New(w io.Writer, person bool, columns ...string) *Printer {
	p := &Printer{w: w}
	if person {
		p.table = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		if len(columns) > 0 {
			fmt.Fprintln(p.table, strings.Join(columns, "\t"))
		}
	}
	return p
}

// Row writes a result. cells are what a person gets of it.
func (p *Printer) Row(result json.RawMessage, cells ...string) error {
	if p.table == nil {
		var line bytes.Buffer
		if err := json.Compact(&line, result); err != nil {
			return err
		}
		line.WriteByte('\n')
		_, err := p.w.Write(line.Bytes())
		return err
	}
	if len(cells) == 0 {
		var text bytes.Buffer
		if err := json.Indent(&text, result, "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.w, Printable(text.String()))
		return err
	}
	for i := range cells {
		cells[i] = Printable(strings.Map(oneLine, cells[i]))
	}
	_, err := fmt.Fprintln(p.table, strings.Join(cells, "\t"))
	return err
}

// Flush writes what is left of a table.
func (p *Printer) Flush() error {
	if p.table == nil {
		return nil
	}
	return p.table.Flush()
}

// Printable returns a text without characters that control a terminal: browsers choose parts of it.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// oneLine keeps a cell in its row and its column.
func oneLine(r rune) rune {
	if r == '\n' || r == '\t' || r == '\v' || r == '\f' {
		return ' '
	}
	return r
}
