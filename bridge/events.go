package bridge

import "time"

// Event is one of SessionSet, SessionDestroy, Cleanup, ConnOpen, ConnClose, Failure,
// CredentialRejected and Missed.
type Event interface{ event() }

// Via says which way a change came.
type Via string

// The ways.
const (
	ViaHTTP   Via = "http"   // a request
	ViaSocket Via = "socket" // a connection
	ViaAPI    Via = "api"    // a call by ID
	ViaTime   Via = "time"   // a deadline
	ViaStore  Via = "store"  // a direct store mutation, reported by NotifyStore…
	ViaNode   Via = "node"   // another process on the same store
)

// Reason says why a session ended.
type Reason string

// The reasons.
const (
	ReasonDestroyed Reason = "destroyed" // Destroy
	ReasonLogout    Reason = "logout"    // Logout
	ReasonExpired   Reason = "expired"   // time ended it
	ReasonEvicted   Reason = "evicted"   // a newer login took its place
)

// closeCode is what the session's connections are closed with.
func (r Reason) closeCode() int {
	switch r {
	case ReasonExpired:
		return CodeExpired
	case ReasonEvicted:
		return CodeEvicted
	}
	return CodeDestroyed
}

// SessionSet tells that a session was stored, or attached to its client in this process.
//
// A new session has IsNew and IsInit. A session that was in the store before this process first saw
// it has IsInit, and no Keys if it was only attached. An update of an attached session has neither.
type SessionSet struct {
	ClientID, SessionID string
	UserID              string   // logged in now; "" for a guest
	PrevUserID          string   // with Login: logged in before; "" for a guest
	IsNew               bool     // the store had no such session
	IsInit              bool     // this process attached client and session now
	Login               bool     // UserID has logged in, perhaps the same as PrevUserID
	Rotated             bool     // it has a new token
	Keys                []string // top-level keys that changed
	Via                 Via
}

// SessionDestroy tells that a session ended.
type SessionDestroy struct {
	ClientID, SessionID string
	UserID              string // was logged in; "" for a guest, or if this process can't know
	Reason              Reason
	Via                 Via
}

// Cleanup tells that expired sessions were removed.
type Cleanup struct {
	Cleared int
	Took    time.Duration
}

// ConnOpen tells that a connection was opened. SessionID is "" for one without a session, UserID ""
// if no user is logged in.
type ConnOpen struct{ ConnID, ClientID, SessionID, UserID, Addr, UserAgent string }

// ConnClose tells that a connection was closed. SessionID is the session that it had last, UserID
// the user who was logged in to it then.
type ConnClose struct {
	ConnID, ClientID, SessionID, UserID string
	Code                                int // the close code; -1 when the peer went away without one
	Reason                              string
	Open                                time.Duration // for how long it was open
	Received, Sent                      Traffic       // from the client, to it
}

// Missed tells a subscriber of several kinds (Observe, Subscribe) that it has missed events at this
// point because its queue was full: state that it derives from events is out of date.
type Missed struct {
	Events int // of the kinds that it wants, without CredentialRejected; at least 1
}

func (SessionSet) event()     {}
func (SessionDestroy) event() {}
func (Cleanup) event()        {}
func (ConnOpen) event()       {}
func (ConnClose) event()      {}
func (Missed) event()         {}
