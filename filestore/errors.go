package filestore

import (
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

var (
	// ErrLocked: another process has the store open. The error is a *LockedError.
	ErrLocked = errors.New("filestore: in use")
	// ErrDamaged: the content of a file isn't what was written to it. Open has changed nothing. The
	// error is a *DamagedError.
	ErrDamaged = errors.New("filestore: damaged")
	// ErrFailed: a write has failed, so that all changes are refused until the store is opened
	// again; reads go on. The error also matches the cause.
	ErrFailed = errors.New("filestore: changes are refused since a write failed, until the store is opened again")
	// ErrFull: the disk is full, or the owner's quota is used up. No part of the change is stored.
	// Reads go on, and changes succeed again once there is space. The error also matches the cause.
	ErrFull = errors.New("filestore: the disk is full: changes are refused until it has space")
	// ErrTooLarge: a field of the record is too large. The error names it, and the limit.
	ErrTooLarge = errors.New("filestore: too large")
)

// LockedError names the process that has the store open. It matches ErrLocked.
type LockedError struct {
	Path string // of the database
	PID  int    // of the process; 0: unknown
}

func (e *LockedError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("filestore: %s is in use by %s: one process at a time can have it open", e.Path, by)
}

// Is reports whether target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked } //nolint:errorlint // called by errors.Is

// DamagedError says where damage was found. It matches ErrDamaged.
type DamagedError struct {
	Path   string // of the file
	Offset int64  // in the file, in bytes; -1: not known
	What   string // the damage
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("filestore: %s. Nothing was changed. Restore a backup, or set Options.Wipe to start "+
		"without sessions; docs/filestore.md describes how to rescue a database", e.short())
}

// short returns the text without the advice.
func (e *DamagedError) short() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s is damaged: %s", e.Path, e.What)
	}
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.What)
}

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged } //nolint:errorlint // called by errors.Is

// wrap returns an error with what was being done. Damage of the log becomes a *DamagedError, to
// which nothing is added.
func wrap(doing string, err error) error {
	var damaged *wal.DamagedError
	switch {
	case err == nil, errors.Is(err, ErrDamaged):
		return err
	case errors.As(err, &damaged):
		return &DamagedError{Path: damaged.Path, Offset: damaged.Offset, What: damaged.Reason}
	}
	return fmt.Errorf("filestore: %s: %w", doing, err)
}
