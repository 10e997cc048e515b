package store

import (
	"context"
	"time"
)

// Watcher is implemented by stores that several processes use at once. Each of them is a node, which learns what the others do to the sessions that it holds.
type Watcher interface {
	// Watch makes a node of the caller, for as long as it doesn't Leave. It returns at once: the node joins the others as soon as the store can be
	// reached, and again by itself whenever the store has lost it.
	//
	// tell is called with one Change at a time. It must be quick, and must not call the node: everything else waits for it.
	Watch(tell func(Change)) Node
}

// Node is the store as one of several processes sees it: it has the optional capabilities of the store that it came from, and works on the same records. What
// is done through it is told to the other nodes and not to itself. It is safe for concurrent use.
type Node interface {
	Store
	Ender

	// Hold has the node told of what happens to the session, and to the client; either may be "". When it returns nil, the node will hear of each change that is
	// stored afterwards, and that others announce. An ID that is held already stays so. The node holds them again by itself when the store has lost it, and tells ChangeMissed then.
	// While the node hasn't joined, Hold waits for that until ctx ends.
	Hold(ctx context.Context, sessionID, clientID string) error
	// Release ends what Hold began, for either that isn't "". A failure leaves something behind that costs a little, until the session ends or the node does.
	Release(ctx context.Context, sessionID, clientID string) error

	// Announce tells the nodes that hold the client that the session has been created for it, or that somebody has logged in to it: ChangeClient.
	Announce(ctx context.Context, clientID, sessionID string) error

	// Holders returns the other nodes that hold one of the sessions or one of the clients, each once; Nodes returns all others. One that has died is among
	// them for 15 seconds at most.
	Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error)
	Nodes(ctx context.Context) ([]string, error)
	// Send sends a message to each of these nodes: ChangeMessage. It is not an error if one has died meanwhile.
	Send(ctx context.Context, to []string, data []byte) error

	// Contact returns what the node knows of its connection to the others.
	Contact() Contact

	// Leave ends the node: nothing is told when it has returned, and the others forget it. If ctx ends first they find out by themselves, within 15 seconds.
	Leave(ctx context.Context) error
}

// Contact says how a node is connected.
type Contact struct {
	Answered time.Time // since when no part of the store has been silent: when the one that has been silent for longest last answered; each is asked about every second
	Reached  time.Time // when any part of the store last answered
	Heard    time.Time // when the node last heard a message of its own, which it sends itself about every second; what it isn't told that way it asks for, and learns within about a second
}

// Ender is implemented by stores that tell other processes why a session has ended.
type Ender interface {
	// End is Store.Destroy with a reason, at most 64 bytes, that the nodes which hold the session are told. With a revision that isn't 0 it ends the session only if that
	// is stored now: ErrConflict when another one is.
	End(ctx context.Context, id, reason string, revision uint64) (bool, error)
}

// ChangeKind says what a Change is about.
type ChangeKind uint8

// The kinds.
const (
	// ChangeStored: the session ID was stored. It is a hint, which may be lost, and may come late.
	ChangeStored ChangeKind = iota + 1
	// ChangeAccess: the session ID was stored with another token or user, or it ends earlier than it would have: whoever holds it has to look at it.
	ChangeAccess
	// ChangeEnded: the session ID is gone, for the Reason that Ender.End was told; ReasonSwept after Sweep, "" when nobody knows.
	ChangeEnded
	// ChangeClient: the session ID of the ClientID is new, or somebody has logged in to it (Node.Announce).
	ChangeClient
	// ChangeMessage: another node, From, has sent Data.
	ChangeMessage
	// ChangeMissed: changes may have been lost: whoever holds anything has to look at all of it. What happens after this is told.
	ChangeMissed
)

// ReasonSwept is the reason of what a Sweep has removed.
const ReasonSwept = "swept"

// Change is something that another node has done.
type Change struct {
	Kind     ChangeKind
	ID       string // of a session
	ClientID string
	Reason   string
	From     string
	Data     []byte
}

// UserLocker is implemented by stores that can keep logins of one user out, for whoever ends all sessions of the user.
type UserLocker interface {
	// LockUser has every Set fail with ErrBusy, in every process, that makes a session the user's which wasn't before, or that gives a session of the user's another token, until unlock
	// is called. What was stored before is found in the UserIndex when LockUser has returned. A lock whose owner dies ends by itself after
	// 10 seconds. Several may hold a lock on one user.
	LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error)
}

// Reserver is implemented by nodes that can have a session to themselves for a moment, so that a writer which keeps losing against those of other processes gets its turn.
type Reserver interface {
	// Reserve has every Set of the session by others than this node fail with ErrBusy, until release is called, for a second at most. Nobody is kept from ending the session.
	// ErrBusy when another node has reserved it.
	Reserve(ctx context.Context, id string) (release func(ctx context.Context) error, err error)
}

// CachedGetter is implemented by stores that can answer from memory of their own.
type CachedGetter interface {
	// GetCached is Get, but what it returns may be as old as news from the store takes to arrive, and what it doesn't know it asks for. It never says ErrNotFound of
	// a session for having been told so earlier. Nobody's right to use a session may be judged by it.
	GetCached(ctx context.Context, id string) (Record, error)
}
