package store

import (
	"context"
	"time"
)

// Watcher is implemented by stores that several processes share. Each process is a node, which is
// notified of what the others do to the sessions that it holds.
type Watcher interface {
	// Watch makes the caller a node until it calls Leave. It returns at once: the node joins the
	// others as soon as the store is reachable, and joins again by itself whenever the store has
	// lost it.
	//
	// onChange is called with one Change at a time. It must be fast and must not call the node,
	// because it blocks all other notifications.
	Watch(onChange func(Change)) Node
}

// Node is the view that one of several processes has of the store. It has the optional capabilities
// of the store and works on the same records. Other nodes are notified of changes that are made
// through it; the node itself is not. It is safe for concurrent use.
type Node interface {
	Store
	Ender

	// Hold subscribes the node to changes of the session and of the client; either may be "". After
	// it has returned nil, the node is notified of each change that is stored, or announced by
	// others, from then on. Holding an ID twice has no effect. If the store loses the node, it
	// holds the IDs again by itself and reports ChangeMissed. If the node hasn't joined yet, Hold
	// waits for that until ctx ends.
	Hold(ctx context.Context, sessionID, clientID string) error
	// Release undoes Hold for each ID that isn't "". If it fails, a small amount of data is left
	// behind until the session or the node ends.
	Release(ctx context.Context, sessionID, clientID string) error

	// Announce notifies the nodes that hold the client with ChangeClient: the session has been
	// created for it, or a user has logged in to the session.
	Announce(ctx context.Context, clientID, sessionID string) error

	// Holders returns the other nodes that hold one of the sessions or clients, without duplicates.
	// Nodes returns all other nodes. A node whose process has ended is included for at most 15
	// seconds.
	Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error)
	Nodes(ctx context.Context) ([]string, error)
	// Send sends a message to each of these nodes: ChangeMessage. A node that no longer exists is
	// not an error.
	Send(ctx context.Context, to []string, data []byte) error

	// Contact returns when the node last had contact with the store.
	Contact() Contact

	// Leave ends the node: after it has returned no change is reported, and other nodes no longer
	// see this one. If ctx ends first, they notice within 15 seconds.
	Leave(ctx context.Context) error
}

// Contact is the state of a node's connection to the store. The store may consist of several parts,
// each of which the node contacts about once a second.
type Contact struct {
	// Answered is when the part of the store that has been silent for longest last replied.
	Answered time.Time
	// Reached is when any part of the store last replied.
	Reached time.Time
	// Heard is when the node last received a message that it sends itself about once a second.
	// Without such messages the node polls for changes, and learns of them within about a second.
	Heard time.Time
}

// Ender is implemented by stores that notify other processes of the reason for the end of a
// session.
type Ender interface {
	// End is Store.Destroy with a reason, at most 64 bytes, which is reported to the nodes that
	// hold the session. If revision isn't 0, it ends the session only if that revision is stored,
	// and returns ErrConflict otherwise.
	End(ctx context.Context, id, reason string, revision uint64) (bool, error)
}

// ChangeKind is the kind of a Change.
type ChangeKind uint8

// The kinds of a Change.
const (
	// ChangeStored: the session ID was stored. This is a hint, which may be lost or late.
	ChangeStored ChangeKind = iota + 1
	// ChangeAccess: the session ID was stored with another token or user, or expires earlier than
	// before. Its holders must read it again.
	ChangeAccess
	// ChangeEnded: the session ID is gone. Reason is that of Ender.End, ReasonSwept after Sweep, or
	// "" if it is unknown.
	ChangeEnded
	// ChangeClient: the session ID of the ClientID is new, or a user has logged in to it
	// (Node.Announce).
	ChangeClient
	// ChangeMessage: another node, From, has sent Data.
	ChangeMessage
	// ChangeMissed: changes may have been lost. The node must read everything that it holds again.
	// Later changes are reported.
	ChangeMissed
)

// ReasonSwept is the reason for sessions that Sweep has removed.
const ReasonSwept = "swept"

// Change is a change that another node has made.
type Change struct {
	Kind     ChangeKind
	ID       string // of a session
	ClientID string
	Reason   string
	From     string
	Data     []byte
}

// UserLocker is implemented by stores that can lock the logins of a user while all sessions of the
// user are being ended.
type UserLocker interface {
	// Until unlock is called, LockUser makes a Set in any process return ErrBusy if it assigns a
	// session to the user or gives a session of the user another token. When LockUser has returned,
	// the UserIndex has everything that was stored before. A lock whose owner's process ends expires
	// after 10 seconds. Several callers may hold locks on one user.
	LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error)
}

// Reserver is implemented by nodes that can reserve a session for a short time, so that a writer
// that repeatedly loses the race against other processes gets exclusive access.
type Reserver interface {
	// Reserve makes every Set of the session by other nodes return ErrBusy until release is called,
	// for at most a second. It doesn't prevent the end of the session. It returns ErrBusy if
	// another node has reserved the session. A node that has reserved it may do so again, for another
	// second. The ID may be one without a session.
	Reserve(ctx context.Context, id string) (release func(ctx context.Context) error, err error)
}

// CachedGetter is implemented by stores with a cache of their own.
type CachedGetter interface {
	// GetCached is Get, but the result may be outdated by the time that a notification from the
	// store takes to arrive. A session that isn't cached is read from the store. ErrNotFound is
	// never cached. The result must not be used to decide who may use a session.
	GetCached(ctx context.Context, id string) (Record, error)
}
