package store

import (
	"context"
	"iter"
	"time"
)

// Lister is implemented by stores that can enumerate their records.
type Lister interface {
	// List yields every record that exists during the whole iteration, once, in no particular order, expired ones too;
	// one that is created or destroyed meanwhile may be yielded or not. No lock is held while a record is being looked at:
	// the loop may call the store. After an error nothing more is yielded.
	List(ctx context.Context) iter.Seq2[Record, error]
}

// Toucher is implemented by stores that can extend a session without a Set.
type Toucher interface {
	// Touch moves Seen of the record forward to seen, and Expires by as much, up to the end of its lifetime, as KeepSeen does; it changes
	// nothing else, the Revision neither. If the stored Seen is at or after seen it does nothing. ErrNotFound when there is no such
	// record. A store may lose a touch in a crash.
	Touch(ctx context.Context, id string, seen time.Time) error
}

// Sweeper is implemented by stores that find expired records at a cost in proportion to their number.
type Sweeper interface {
	// Sweep removes up to n records whose Expires is at or before now, those that expired first first, and returns them.
	// Each is returned by one call only. Fewer than n: there are no more. What a call has removed it returns, also with an error: a
	// context is looked at before anything is removed, or between removals.
	Sweep(ctx context.Context, now time.Time, n int) ([]Record, error)
}

// UserIndex is implemented by stores that find the sessions of a user.
type UserIndex interface {
	// ByUser yields the records with the UserID, the last seen first, under the rules of Lister.List. Nobody's, "", are yielded by none.
	ByUser(ctx context.Context, userID string) iter.Seq2[Record, error]
}

// ClientIndex is implemented by stores that find the sessions of a client.
type ClientIndex interface {
	// ByClient yields the records with the ClientID, the last seen first, under the rules of Lister.List; for "" it yields none.
	ByClient(ctx context.Context, clientID string) iter.Seq2[Record, error]
}

// ActivityIndex is implemented by stores that find the sessions that were active lately.
type ActivityIndex interface {
	// ActiveSince yields the records whose Seen is at or after since, the last seen first, under the rules of Lister.List.
	ActiveSince(ctx context.Context, since time.Time) iter.Seq2[Record, error]
}

// ActiveLister is implemented by stores that find out who was active lately without making records of it.
type ActiveLister interface {
	// ListActive yields the ID and the user of each record whose Seen is at or after since and that has not expired at now, once, in no particular order,
	// otherwise under the rules of Lister.List. It costs in proportion to the records whose Seen is, and reads no data of theirs.
	ListActive(ctx context.Context, since, now time.Time) iter.Seq2[Active, error]
}

// Active is what ActiveLister yields of a record.
type Active struct {
	ID     string
	UserID string // "" for nobody
}

// Optimizer is implemented by stores that can tidy up after many changes.
type Optimizer interface {
	// Optimize gives back what the store no longer needs (memory, disk). It may take long; the store stays usable.
	Optimize(ctx context.Context) error
}

// Pinger is implemented by stores that can fail as a whole.
type Pinger interface {
	// Ping returns nil when the store answers.
	Ping(ctx context.Context) error
}

// Namespacer is implemented by stores that can hold the sessions of several applications.
type Namespacer interface {
	// App returns the store of the named application; "" is the one that the store was opened as, whichever App it is asked of. Same name, same records; different names never see one another's. An
	// App's store is closed with the one it came from, and needs no closing of its own.
	App(name string) Store
}
