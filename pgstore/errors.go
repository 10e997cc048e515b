package pgstore

import (
	"errors"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
)

var (
	// ErrTimeout: PostgreSQL did not reply within Options.Timeout, or has cancelled the statement
	// after a timeout of its own. Whether a change was made is unknown.
	ErrTimeout = conn.ErrTimeout
	// ErrServer: the server is unsuitable for sessions: it is too old, or read-only.
	ErrServer = conn.ErrServer
	// ErrSchema: the schema doesn't exist, and Options.NoMigrate forbids to create it, or it is of
	// another version.
	ErrSchema = conn.ErrSchema
	// ErrDenied: PostgreSQL rejects the login, or the role lacks a right. Nothing has been changed.
	ErrDenied = conn.ErrDenied
	// ErrFull: PostgreSQL has no space on its disk, no memory or no connections left. Nothing has been
	// changed.
	ErrFull = conn.ErrFull
	// ErrAborted: PostgreSQL has rolled the statement back several times, because of deadlocks or
	// serialization failures. Transactions of other programs cause them. Nothing has been changed.
	ErrAborted = conn.ErrAborted
	// ErrDamaged: PostgreSQL has data that this package didn't store.
	ErrDamaged = conn.ErrDamaged
	// ErrText: an ID, user or client isn't UTF-8 or contains NUL, which PostgreSQL can't store.
	// Nothing has been changed.
	ErrText = errors.New("pgstore: not valid text")
	// ErrLockLost: a lock on a user was lost for a time, because PostgreSQL was unreachable for long.
	// The user may have logged in meanwhile.
	ErrLockLost = errors.New("pgstore: the lock was lost for a time")
)
