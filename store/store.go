package store

import "context"

// Store holds records by ID. A Store must be safe for concurrent use, and each method must be atomic for its ID.
//
// Records are copied on their way in and out: nothing that a caller does to a Record or to its Data afterwards changes what
// is stored, or what another caller sees.
//
// A Store keeps expired records until they are swept or destroyed, and treats them like any other: whether a session may
// still be used is the caller's question, and the answer is in Record.Expires. It keeps times to the millisecond or finer.
//
// An error that none of the sentinels below matches means that the outcome is unknown: the change may or may not be stored.
// A context that ends gives an error that matches its cause.
type Store interface {
	// Get returns the record with the ID. ErrNotFound when there is none; any other error is a failure of the store, never
	// a statement about the session.
	Get(ctx context.Context, id string) (Record, error)

	// Set stores rec if rec.Revision is the revision that is stored now, and returns the new one, which is greater.
	// Revision 0 creates. ErrConflict when another revision is stored (for a create: when the ID exists); ErrNotFound when
	// rec.Revision isn't 0 and the ID doesn't exist. A Set that returns either of them has changed nothing.
	//
	// Seen never moves back: see KeepSeen.
	Set(ctx context.Context, rec Record) (revision uint64, err error)

	// Destroy removes the record with the ID, whatever its revision. It returns false and no error when there was none.
	Destroy(ctx context.Context, id string) (bool, error)
}
