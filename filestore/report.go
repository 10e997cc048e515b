package filestore

import (
	"fmt"
	"maps"
	"slices"
)

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
