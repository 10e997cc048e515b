package main

import (
	"errors"
	"io"
)

// fixture is what takes long to build and is therefore shared by groups that follow one another. It
// builds what it is asked for, when it is asked for it first.
type fixture interface {
	// prepare comes before everything else: it says how large the fixture is to be, and where to
	// show progress.
	prepare(quick bool, progress io.Writer)
	// close frees everything, the files too. It may be called without a prepare, and more than
	// once.
	close() error
}

// prepare prepares the group's fixture, if it has one.
func (g *group) prepare(quick bool, progress io.Writer) {
	if g.fixture != nil {
		g.fixture.prepare(quick, progress)
	}
}

// inTurn visits the groups, and closes each fixture after the last group that has it. The first
// error ends it.
func inTurn(groups []group, visit func(*group) error) (err error) {
	var open fixture
	leave := func() {
		if open != nil {
			err = errors.Join(err, open.close())
		}
	}
	defer func() { leave() }()
	for i := range groups {
		if f := groups[i].fixture; f != open {
			leave()
			open = f
		}
		if err != nil {
			return err
		}
		if err = visit(&groups[i]); err != nil {
			return err
		}
	}
	return nil
}
