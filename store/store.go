package store

import "context"

// Store holds records by ID. It must be safe for concurrent use, and each method must be atomic for
// its ID.
//
// Records are copied on their way in and out: a caller's later changes to a Record or its Data
// affect neither the stored record nor other callers.
//
// A Store keeps expired records until they are swept or destroyed, and treats them like any other
// record: the caller checks Record.Expires. It keeps times to the millisecond or finer.
//
// An error that matches none of the sentinels means that the outcome is unknown: the change may or
// may not be stored. When a context ends, the error matches its cause.
type Store interface {
	// Get returns the record with the ID, or ErrNotFound if there is none. Any other error is a
	// failure of the store and says nothing about the session.
	Get(ctx context.Context, id string) (Record, error)

	// Set stores rec if rec.Revision is the stored revision, and returns the new revision, which is
	// greater. Revision 0 creates the record. Set returns ErrConflict if another revision is
	// stored, or if the record to be created exists, and ErrNotFound if rec.Revision isn't 0 and
	// the ID doesn't exist. With either error it has changed nothing.
	//
	// Seen never moves back: see KeepSeen.
	Set(ctx context.Context, rec Record) (revision uint64, err error)

	// Destroy removes the record with the ID, regardless of its revision. It returns false and no
	// error if there was none.
	Destroy(ctx context.Context, id string) (bool, error)
}
