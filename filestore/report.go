package filestore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report is what Check has found.
type Report struct {
	Path     string
	Sessions int64 // in the database, that are what was written
	Apps     int64 // that have sessions

	Pages     int64 // of the database
	FreePages int64 // of them, to be used again
	Bytes     int64 // of the database's file

	Clean      bool  // the store was closed: the log isn't needed
	LogBytes   int64 // of the log's files
	LogChanges int64 // in the log, that the database doesn't have yet: the next Open brings them in
	TornTail   int64 // bytes, about, at the end of the log, of changes that a crash has kept from being finished; nobody was told that they were stored

	Problems []Problem // the first hundred of the database, and of the log
	More     int64     // problems that aren't listed
	Notes    []string  // what does no harm
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
	fmt.Fprintf(&b, "  database: %s of %s in %s; %d of %s are free\n", count(r.Sessions, "session"), count(r.Apps, "app"),
		size(r.Bytes), r.FreePages, count(r.Pages, "page"))
	fmt.Fprintf(&b, "  log: %s in %s\n", r.logState(), size(r.LogBytes))
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
		b.WriteString("Put a backup in its place, or call filestore.Repair, which saves into a new file what can be read.\n")
	}
	return b.String()
}

func (r *Report) logState() string {
	if r.Clean {
		return "not needed, the store was closed;"
	}
	state := count(r.LogChanges, "change") + " that the database doesn't have yet"
	if r.TornTail > 0 {
		state += fmt.Sprintf(", about %s that were never finished", count(r.TornTail, "byte"))
	}
	return state + ","
}

func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
}

// Problem is damage that was found.
type Problem struct {
	File   string
	Offset int64 // in the file, in bytes; -1: not at any one place
	What   string
}

func (p Problem) String() string {
	if p.Offset < 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s, byte %d: %s", p.File, p.Offset, p.What)
}

// problems are those of a file. There is no end to what can be wrong: only the first are kept, and the others counted.
type problems struct {
	file string
	list []Problem
	more int64
}

const maxProblems = 100

func (p *problems) add(offset int64, what string) {
	if len(p.list) == maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, Problem{p.file, offset, what})
}

func (p *problems) count() int64 { return int64(len(p.list)) + p.more }

// err returns the first problem as an error, nil if there is none.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	first := p.list[0]
	return &DamagedError{Path: first.File, Offset: first.Offset, What: first.What}
}

// firstOf returns the function that wants to be told, or one that doesn't.
func firstOf(progress []func(Progress)) func(Progress) {
	if len(progress) > 0 && progress[0] != nil {
		return progress[0]
	}
	return func(Progress) {}
}

func inOrder[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
