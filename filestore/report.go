package filestore

import (
	"fmt"
	"strings"
)

// Report is the result of Check.
type Report struct {
	Path     string
	Sessions int64 // valid ones in the database
	Apps     int64 // that have sessions

	Pages     int64 // of the database
	FreePages int64 // of them, available for new content
	Bytes     int64 // of the database's file

	Clean      bool  // the store was closed: the log isn't needed
	LogBytes   int64 // of the log's files
	LogChanges int64 // in the log and not in the database: the next Open recovers them
	TornTail   int64 // about the bytes of unfinished changes at the end of the log, which were not acknowledged

	Problems []Problem // the first hundred
	More     int64     // problems that aren't listed
	Notes    []string  // observations that do no harm

	head *head // nil: it can't be read
}

// OK reports whether no damage was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String describes the store in some lines.
func (r *Report) String() string {
	var b strings.Builder
	if r.OK() {
		fmt.Fprintf(&b, "%s: no damage was found\n", r.Path)
	} else {
		fmt.Fprintf(&b, "%s is damaged: %s\n", r.Path, count(int64(len(r.Problems))+r.More, "problem"))
	}
	fmt.Fprintf(&b, "  database: %s of %s in %d KiB; %d of %s are free\n", count(r.Sessions, "session"),
		count(r.Apps, "app"), r.Bytes>>10, r.FreePages, count(r.Pages, "page"))
	if r.Clean {
		fmt.Fprintf(&b, "  log: not needed, the store was closed; %d KiB\n", r.LogBytes>>10)
	} else {
		fmt.Fprintf(&b, "  log: %s that the database doesn't have yet, about %s of unfinished ones; %d KiB\n",
			count(r.LogChanges, "change"), count(r.TornTail, "byte"), r.LogBytes>>10)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "  problem: %v\n", p)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "  and %s more\n", count(r.More, "problem"))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  note: %s\n", note)
	}
	if !r.OK() {
		b.WriteString("Restore a backup, or see docs/filestore.md on how to rescue a database.\n")
	}
	return b.String()
}

// count returns a number with its noun.
func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Problem is damage that was found.
type Problem struct {
	File   string
	Offset int64 // in the file, in bytes; -1: not known
	What   string
}

func (p Problem) String() string {
	if p.Offset < 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s, byte %d: %s", p.File, p.Offset, p.What)
}

const maxProblems = 100

// add adds a problem; only the first are listed.
func (r *Report) add(file string, offset int64, what string) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{file, offset, what})
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
