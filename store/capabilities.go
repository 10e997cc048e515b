package store

import (
	"context"
	"iter"
	"time"
)

// Lister is implemented by stores that can enumerate their records.
type Lister interface {
	// List yields every record that exists during the whole iteration once, in no particular order,
	// including expired ones. A record that is created or destroyed meanwhile may be yielded or
	// not. No lock is held while a record is being processed: the loop may call the store. After an
	// error nothing more is yielded.
	List(ctx context.Context) iter.Seq2[Record, error]
}

// Toucher is implemented by stores that can extend a session without a Set.
type Toucher interface {
	// Touch moves Seen of the record forward to seen, and Expires by the same amount, up to
	// Record.LifetimeEnd, as KeepSeen does. It changes nothing else, not even the Revision. If the
	// stored Seen is at or after seen it does nothing. It returns ErrNotFound if there is no such
	// record. A store may lose a touch in a crash.
	Touch(ctx context.Context, id string, seen time.Time) error
}

// Sweeper is implemented by stores that find expired records at a cost in proportion to their
// number.
type Sweeper interface {
	// Sweep removes up to n records whose Expires is at or before now, in the order of Expires, and
	// returns them. Each record is returned by only one call. Fewer than n records mean that there
	// are no more. A call returns what it has removed even with an error: the context is checked
	// before anything is removed, or between removals.
	Sweep(ctx context.Context, now time.Time, n int) ([]Record, error)
}

// UserIndex is implemented by stores that find the sessions of a user.
type UserIndex interface {
	// ByUser yields the records with the UserID, the last seen first, under the rules of
	// Lister.List. For "" it yields none.
	ByUser(ctx context.Context, userID string) iter.Seq2[Record, error]
}

// ClientIndex is implemented by stores that find the sessions of a client.
type ClientIndex interface {
	// ByClient yields the records with the ClientID, the last seen first, under the rules of
	// Lister.List. For "" it yields none.
	ByClient(ctx context.Context, clientID string) iter.Seq2[Record, error]
}

// ActivityIndex is implemented by stores that find recently active sessions.
type ActivityIndex interface {
	// ActiveSince yields the records whose Seen is at or after since, the last seen first, under
	// the rules of Lister.List.
	ActiveSince(ctx context.Context, since time.Time) iter.Seq2[Record, error]
}

// ActiveLister is implemented by stores that find recently active users without reading whole
// records.
type ActiveLister interface {
	// ListActive yields the ID and the user of each record whose Seen is at or after since and that
	// has not expired at now, once, in no particular order, otherwise under the rules of
	// Lister.List. Its cost is proportional to the number of records whose Seen is at or after
	// since, and it doesn't read their data.
	ListActive(ctx context.Context, since, now time.Time) iter.Seq2[Active, error]
}

// Active is an element of ActiveLister.ListActive.
type Active struct {
	ID     string
	UserID string // "" without a user
}

// Optimizer is implemented by stores that can reclaim space after many changes.
type Optimizer interface {
	// Optimize releases memory or disk space that the store no longer needs. It may take long; the
	// store stays usable.
	Optimize(ctx context.Context) error
}

// Pinger is implemented by stores that can fail as a whole.
type Pinger interface {
	// Ping returns nil if the store responds.
	Ping(ctx context.Context) error
}

// Namespacer is implemented by stores that can hold the sessions of several applications.
type Namespacer interface {
	// App returns the store of the named application; "" is the store that was opened, regardless
	// of the App that it is called on. The same name means the same records; different names never
	// see one another's records. An App's store is closed with the store that was opened, and
	// doesn't have to be closed itself.
	App(name string) Store
}
