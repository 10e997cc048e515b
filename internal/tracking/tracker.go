package tracking

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Tracker needs. Every field is set, except that Node and Devices may be nil. L is
// a connection.
type Config[L comparable] struct {
	Gateway *gateway.Gateway
	Clients *clientmap.Map
	Links   *registry.Registry[L]
	Node    *cluster.Node // nil: the store knows of no other processes
	Devices *devicebound.Devices
	Ends    *ends.Log
	Report  *reporting.Reporter
	Work    *workers.Group

	Background *workers.Pool // for lookups in the store
	RemoteEnds *workers.Pool // for ends of sessions that other nodes have reported

	Follow    bool // connections follow their client to another session, and no login excludes them
	KeepConns bool // connections stay open when their session ends

	// Watched reports whether Stored has an effect. It reports a session that was stored or attached,
	// under the session's commit lock.
	Watched func() bool
	Stored  func(Stored)
	// Ended removes a session that has ended on another node, for that reason: one of Reason. Tag
	// returns the gateway's tag for the end of a session that the store doesn't have any more; l is
	// the connection that has noticed it, or the zero L.
	Ended func(e gateway.End, reason string)
	Tag   func(l L) any
	// Reason returns the reason that another node, perhaps of another version, has reported.
	// CloseCode returns the code with which such an end closes connections; "" is an unknown reason.
	Reason    func(reported string) string
	CloseCode func(reason string) int

	Limits registry.Limits // of Links
	Entry  func(l L) *registry.Entry
	// Close closes a connection. Postpone does so after that time, and earlier if the connection's
	// client has got its response; with atRead, also when its handler next reads.
	Close    func(l L, c registry.Close)
	Postpone func(l L, c registry.Close, atRead bool, grace time.Duration)
	// Lost is called for a connection whose session has ended before it was registered.
	Lost func(l L)
	// Abandon unregisters a connection whose registration fails with err, nil being a panic.
	Abandon func(l L, err error)
}

// Stored is what has become of a session that was stored or attached.
type Stored struct {
	ClientID, SessionID, UserID   string
	PrevUserID                    string
	IsNew, IsInit, Login, Rotated bool
	Via                           string // as the caller says it; "": another node
}

// Closes of connections.
var (
	// Reconnect is for connections that a login, or another session of their client, excludes.
	Reconnect = registry.Close{Code: errorcodes.Reconnect, Reason: errorcodes.ReasonReconnect}
	// TooMany is for those beyond the limit of a session that they have followed their client to.
	TooMany = registry.Close{Code: errorcodes.Policy, Reason: errorcodes.ReasonTooMany}
	// DeviceOver is for those whose session has not been proved on its device in time. The handshake
	// with which a browser comes back has it prove the device.
	DeviceOver = registry.Close{
		Code: errorcodes.Reconnect, Reason: "the device must be proved again: reconnect",
	}

	replaced    = registry.Close{Code: errorcodes.Policy, Reason: errorcodes.ReasonReplaced}
	unavailable = registry.Close{Code: errorcodes.Unavailable, Reason: errorcodes.ReasonUnavailable}
	overtaken   = registry.Close{Code: errorcodes.Reconnect, Reason: "session changed during the handshake"}
)

const (
	answerGrace = time.Second     // for the handler of a connection to answer before it is closed
	rebindGrace = 5 * time.Second // a parted connection is closed at the latest after this time
	// RebindDelay is the time from a handler's return until its response is assumed to be sent:
	// net/http, and perhaps a middleware with a buffer, sends the end of it after the return.
	RebindDelay = 100 * time.Millisecond
)

// Tracker keeps the map of clients and the registry in step with the store. It is safe for
// concurrent use.
type Tracker[L comparable] struct{ cfg Config[L] }

// New returns a Tracker.
func New[L comparable](cfg Config[L]) *Tracker[L] { return &Tracker[L]{cfg} }

// Knows reports whether the session has connections in this process or is in the map of clients.
func (t *Tracker[L]) Knows(id string) bool {
	return t.cfg.Links.HasSession(id) || t.cfg.Clients.Attached(id)
}

// Committed follows a change that this process has stored. It returns whether the session is now
// attached for the first time here, and the connections that are parted from their sessions, and
// closed after a while. clientIsNew reports that the client has no other session. The session's
// commit lock is held.
func (t *Tracker[L]) Committed(c *gateway.Commit, clientIsNew func() bool) (isInit bool, parted []L) {
	rec := c.Record
	isInit = t.attach(rec, c.IsNew)
	if c.Login {
		t.cfg.Clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
	}
	if c.IsNew || c.Login {
		parted = t.rebind(rec)
		if !c.IsNew || !clientIsNew() { // no other node knows a new client
			t.cfg.Node.Announce(rec.ClientID, rec.ID)
		}
	}
	t.Learn(rec)
	return isInit, parted
}

// attach maps the session and its client to each other, and reports whether this process does it
// for the first time.
func (t *Tracker[L]) attach(rec *store.Record, newest bool) (isInit bool) {
	if isInit = t.cfg.Clients.Attach(rec.ClientID, rec.ID, newest); isInit {
		t.cfg.Clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
		t.cfg.Clients.SetDue(rec.ID, rec.Expires)
		t.cfg.Node.Seen(rec.ClientID)
	}
	return isInit
}

// Attach maps a session that is about to be used to its client, and reports it if it wasn't mapped
// here yet, or if another process has made a login to it. gateway.ErrMissing if it has ended.
func (t *Tracker[L]) Attach(ctx context.Context, rec *store.Record, via string) error {
	clientID, id := rec.ClientID, rec.ID
	if t.cfg.Clients.Refresh(clientID, id) {
		t.noticeLogin(ctx, rec)
		return nil
	}
	needed := func() bool { return !t.cfg.Clients.Refresh(clientID, id) } // unless another goroutine has mapped it
	return t.cfg.Gateway.ReportIf(ctx, id, needed, func(now *store.Record) {
		if !t.attach(now, false) {
			return
		}
		if newest, _ := t.cfg.Clients.SessionOf(now.ClientID); t.cfg.Follow && newest == now.ID {
			t.follow(now)
		}
		t.stored(now, Stored{IsInit: true, Via: via})
	})
}

// StoredDirectly reports a change of the session that the application has stored directly.
func (t *Tracker[L]) StoredDirectly(id string, isNew bool, via string) {
	err := t.cfg.Gateway.Report(context.Background(), id, func(rec *store.Record) {
		isInit := t.attach(rec, isNew)
		prev, login := t.cfg.Clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
		t.Learn(rec)
		t.stored(rec, Stored{PrevUserID: prev, IsNew: isNew, IsInit: isInit, Login: login, Via: via})
	})
	t.failed("report a session that was stored directly", id, err)
}

// stored reports that a session was stored or attached. It adds the IDs of rec to s.
func (t *Tracker[L]) stored(rec *store.Record, s Stored) {
	if t.cfg.Watched() {
		s.ClientID, s.SessionID, s.UserID = rec.ClientID, rec.ID, rec.UserID
		t.cfg.Stored(s)
	}
}

// Learn updates the registry from a record of a session with connections. If the record has a login
// that wasn't known here, the connections that the login excludes are cut off.
func (t *Tracker[L]) Learn(rec *store.Record) {
	for _, l := range t.cfg.Links.Learn(rec) {
		t.Unlink(l)
	}
}

// Unlink parts the connection from its session. It is closed when its handler next reads, so that
// an answer can still be sent, or after a while.
func (t *Tracker[L]) Unlink(l L) {
	t.cfg.Postpone(l, Reconnect, true, answerGrace) // first: the handler may notice at once that it has no session
	t.cfg.Links.Part(l)
}

// noticeLogin reports the login of rec, which was just loaded, if another process has made it and
// this one hasn't reported it yet.
func (t *Tracker[L]) noticeLogin(ctx context.Context, rec *store.Record) {
	if t.cfg.Clients.LoginIsNew(rec.ID, rec.LoginGeneration) {
		_ = t.cfg.Gateway.ReportIf(ctx, rec.ID,
			func() bool { return t.cfg.Clients.LoginIsNew(rec.ID, rec.LoginGeneration) },
			func(now *store.Record) { t.reportElsewhere(now, false) })
	}
}

// reportElsewhere records the user of a session that another process has stored. It reports a
// login; with accessed, also a change without one. The session's commit lock is held.
func (t *Tracker[L]) reportElsewhere(now *store.Record, accessed bool) {
	prev, login := t.cfg.Clients.SetLogin(now.ID, now.UserID, now.LoginGeneration)
	if (login || accessed) && t.cfg.Clients.Attached(now.ID) {
		t.stored(now, Stored{PrevUserID: prev, Login: login, Rotated: true})
	}
}
