package main

import (
	"io"
	"os"
)

// arena is where engines that store on disk meet: a folder among the temporary files, for as long
// as the groups that share it are being measured. What is in it is built once.
type arena struct {
	quick    bool
	progress io.Writer
	folder   string
}

func (a *arena) prepare(quick bool, progress io.Writer) { a.quick, a.progress = quick, progress }

// dir returns the folder.
func (a *arena) dir() (_ string, err error) {
	if a.folder == "" {
		a.folder, err = os.MkdirTemp("", "sessionbridge-bench-")
	}
	return a.folder, err
}

func (a *arena) close() (err error) {
	if a.folder != "" {
		err = os.RemoveAll(a.folder)
	}
	a.folder = ""
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
