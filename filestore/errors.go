package filestore

import (
	"errors"
	"fmt"
)

var (
	// ErrLocked: another process has the store open. The error is a *LockedError.
	ErrLocked = errors.New("filestore: in use")
	// ErrDamaged: what the files hold isn't what was written to them. Open has changed nothing. The error is a *DamagedError.
	ErrDamaged = errors.New("filestore: damaged")
	// ErrFailed: writing has failed, so nothing more can be changed until the store is opened anew; reading goes on. The
	// error matches the cause, too.
	ErrFailed = errors.New("filestore: changes are refused since a write failed, until the store is opened anew")
	// ErrFull: the disk is full, or the part of it that the owner may use. Nothing of the change is stored; reading goes on, and changes do by themselves when there is room again. The error
	// matches the cause, too.
	ErrFull = errors.New("filestore: the disk is full: changes are refused until it has room")
	// ErrTooLarge: a field of the record is larger than can be stored. The error names it, and the limit.
	ErrTooLarge = errors.New("filestore: too large")
)

// LockedError says who has the store open. It matches ErrLocked.
type LockedError struct {
	Path string // of the database
	PID  int    // of the process; 0: it couldn't be found out
}

func (e *LockedError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("filestore: %s is in use by %s: one process at a time can have it open", e.Path, by)
}

// Is reports whether target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked } //nolint:errorlint // it is what errors.Is asks

// DamagedError says where damage was found. It matches ErrDamaged.
type DamagedError struct {
	Path   string // of the file
	Offset int64  // in the file, in bytes; -1: not at any one place
	What   string // was found
}

func (e *DamagedError) Error() string {
	at := ""
	if e.Offset >= 0 {
		at = fmt.Sprintf(" at byte %d", e.Offset)
	}
	return fmt.Sprintf("filestore: %s is damaged%s: %s. Nothing was changed. "+
		"Put a backup in its place, or call filestore.Repair, which saves into a new file what can be read", e.Path, at, e.What)
}

// Is reports whether target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged } //nolint:errorlint // it is what errors.Is asks
