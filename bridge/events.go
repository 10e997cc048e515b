package bridge

import (
	"cmp"
	"time"
)

// Event is one of SessionSet, SessionDestroy, Cleanup, ConnOpen, ConnClose, Failure,
// CredentialRejected, Presence and Missed. Bridge.Observe states their order.
type Event interface {
	// deliver reports whether the Observer has a function for the event, and calls it if call is true.
	deliver(o *Observer, call bool) (wanted bool)
}

// SessionSet reports that a session was stored, or attached to its client in this process.
//
// A new session has IsNew and IsInit. A session that was in the store before this process first saw
// it has IsInit, and no Keys if it was only attached. An update of an attached session has neither.
// A session that was imported (Options.Import) is new, and no Login.
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

// SessionDestroy reports that a session ended.
type SessionDestroy struct {
	ClientID, SessionID string
	UserID              string // was logged in; "" for a guest, or if this process can't know
	Reason              Reason
	Via                 Via
}

// Cleanup reports that expired sessions were removed.
type Cleanup struct {
	Cleared int
	Took    time.Duration
}

// ConnOpen reports that a connection was opened. SessionID is "" for one without a session, UserID
// "" if no user is logged in.
type ConnOpen struct{ ConnID, ClientID, SessionID, UserID, Addr, UserAgent string }

// ConnClose reports that a connection was closed. SessionID is the last session that it had, UserID
// the user who was logged in to that session then.
type ConnClose struct {
	ConnID, ClientID, SessionID, UserID string
	Code                                int // the close code; -1 when the peer went away without one
	Reason                              string
	Open                                time.Duration // how long it was open
	Received, Sent                      Traffic       // from the client, to it
}

// Failure reports a failure that no caller of the application receives as an error. Each line
// "failed" of Options.Logger comes with this event, which has the same content: no token, no
// cookie, no value. A panic of a handler, of a close function or of a hook in Options is a Failure
// with ErrPanicked; its value and stack are in the log only. A panic of an event callback is only
// logged.
type Failure struct {
	Doing     string // what the Bridge could not do, in words for people; they may change
	SessionID string // "" where it isn't about one session
	Err       error  // test with errors.Is: most often ErrStoreUnavailable
}

// CredentialRejected reports a session cookie, a token or a ticket that opened nothing: the request
// continued without a session, its handshake was refused, or a call with Credentials failed
// (ViaAPI). It contains no token and no value. Stats.Refused counts them all.
//
// Any client can cause these events at any rate. They take at most a quarter of a subscriber's
// queue: further ones are dropped and counted in Stats.RejectionsDropped only. So a flood of them
// displaces no other event.
type CredentialRejected struct {
	Credential Credential
	Reason     RejectReason
	// ClientID is that of a valid client cookie of the request, or of the Credentials; "" without
	// one. It has not been proved.
	ClientID string
	// SessionID is the session that the credential names, "" if its signature is invalid; with a
	// ticket of LoginTicket or RotateTicket it is the request's own session. UserID is the user who
	// is logged in to that session, "" if there is none or no such session.
	SessionID, UserID string
	Addr, UserAgent   string // of the request; "" if there is none
	Via               Via
}

// Missed reports to a subscriber of several kinds (Observe, Subscribe) that it has missed events at
// this point because its queue was full: state that it derives from events is out of date.
type Missed struct {
	Events int // of the kinds that it wants, without CredentialRejected; at least 1
}

// Via is the way in which a change came.
type Via string

// The ways.
const (
	ViaHTTP   Via = "http"   // a request
	ViaSocket Via = "socket" // a connection
	ViaAPI    Via = "api"    // a call by ID, or with Credentials
	ViaTime   Via = "time"   // a deadline
	ViaStore  Via = "store"  // a direct store mutation, reported by NotifyStore…
	ViaNode   Via = "node"   // another process on the same store
)

// Reason is the reason for which a session ended.
type Reason string

// The reasons.
const (
	ReasonDestroyed Reason = "destroyed" // Destroy
	ReasonLogout    Reason = "logout"    // Logout
	ReasonExpired   Reason = "expired"   // time ended it
	ReasonEvicted   Reason = "evicted"   // a newer login took its place
)

// closeCode returns the code with which the session's connections are closed, and missing returns
// the reason as a MissingReason.
func (r Reason) closeCode() int         { return cmp.Or(reasons[r].code, CodeDestroyed) }
func (r Reason) missing() MissingReason { return cmp.Or(reasons[r].missing, MissingEnded) }

var reasons = map[Reason]struct {
	code    int
	missing MissingReason
}{ReasonExpired: {CodeExpired, MissingExpired}, ReasonEvicted: {CodeEvicted, MissingEvicted}}

// Credential is a kind of credential that opens a session.
type Credential string

// The kinds.
const (
	CredentialCookie Credential = "cookie" // the session cookie
	CredentialToken  Credential = "token"  // of a client without cookies: Options.TokenFrom
	CredentialTicket Credential = "ticket" // Bridge.Ticket, Conn.LoginTicket, Conn.RotateTicket
)

// RejectReason is the reason for which a credential opened nothing.
type RejectReason string

// The reasons.
const (
	RejectedSignature RejectReason = "signature" // signed with none of Options.Keys: forged, damaged, or of other keys
	RejectedSession   RejectReason = "session"   // the session no longer exists
	RejectedToken     RejectReason = "token"     // the session has another token: the cookie, or its copy, is outdated
	RejectedClient    RejectReason = "client"    // Options.StrictBinding: not with its client's cookie
	RejectedDevice    RejectReason = "device"    // Options.DeviceBound: without a proof of the session's device
	RejectedTicket    RejectReason = "ticket"    // unknown, used, expired, outdated by a login, or not its own
)
