package main

import (
	"errors"
	"io"
	"os"
)

// arena is where engines that store on disk meet: a folder among the temporary files, for as long as the groups that share it
// are being measured. What is in it is built once.
type arena struct {
	quick    bool
	progress io.Writer
	folder   string
	closers  []func() error
}

func (a *arena) prepare(quick bool, progress io.Writer) { a.quick, a.progress = quick, progress }

// dir returns the folder.
func (a *arena) dir() (_ string, err error) {
	if a.folder == "" {
		a.folder, err = os.MkdirTemp("", "sessionbridge-bench-")
	}
	return a.folder, err
}

// atClose has something called before the folder is removed.
func (a *arena) atClose(f func() error) { a.closers = append(a.closers, f) }

func (a *arena) close() (err error) {
	for _, f := range a.closers {
		err = errors.Join(err, f())
	}
	if a.folder != "" {
		err = errors.Join(err, os.RemoveAll(a.folder))
	}
	a.folder, a.closers = "", nil
	return err
}

// enter opens the contestant with as many sessions.
func (a *arena) enter(c *contestant, sessions int) error {
	dir, err := a.dir()
	if err != nil {
		return err
	}
	return c.ready(dir, sessions, a.progress)
}
