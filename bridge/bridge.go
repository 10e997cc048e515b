package bridge

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/admission"
	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/logqueue"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/pubsub"
	"github.com/sessionbridge/sessionbridge/internal/redact"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Bridge shares sessions between HTTP handlers and WebSocket connections. Make one for each store
// and cookie name with New, and end it with Shutdown. It is safe for concurrent use.
//
// docs/architecture.md has the order of the locks.
type Bridge struct {
	opts     *settings
	gateway  *gateway.Gateway
	opener   *opening.Opener
	clients  *clientmap.Map
	links    *registry.Registry[*Link]
	clock    *clock.Clock
	sockets  *socket.Runtime
	work     *workers.Group
	pools    pools
	sender   *outbox.Sender
	events   *pubsub.Hub[Event]
	lines    *logqueue.Queue
	logKey   *redact.Key
	stats    counters
	shutting atomic.Bool   // Shutdown has been called
	shutDone chan struct{} // closed when the first Shutdown has returned shutErr
	shutErr  error
	overrule atomic.Bool // setCookies has logged that a Cache-Control was overruled
	logins   *logins.Gate
	limits   *logins.Limits
	tickets  *tickets.Tickets
	admit    *admission.Gate
	cluster  *cluster.Node // nil: the store knows of no other processes
	gorilla  *gorillastore.Store

	cleanup struct { // see StartAutoCleanup
		mu   sync.Mutex
		stop func() // nil: it isn't running
	}
}

// pools run the Bridge's own tasks. Each kind has a pool of its own, so that tasks that hang delay
// no other kind: a close that the peer doesn't answer takes a second, and a store may take as long
// as Options.StoreTimeout. A task costs some kilobytes while it waits.
type pools struct {
	background *workers.Pool // lookups in the store, cleanups, saves
	closes     *workers.Pool // of connections
	remoteEnds *workers.Pool // ends of sessions that other nodes have reported
	activity   *workers.Pool // to be recorded in the store
}

type counters struct {
	mismatches, refused, reruns, failedCommits, refusedCommits, closedWrites, notifyDropped,
	failedSaves, tooFast atomic.Uint64
}

// Stats is what a Bridge has counted since it was made, except for the fields that say now.
type Stats struct {
	Conns    int  // open now: connections and links
	Attached int  // sessions that this process has seen in use, now
	Healthy  bool // this node and the others on the store hear each other, now; true without others

	Writes         uint64 // sessions stored
	Touches        uint64 // activity recorded, without a change
	Conflicts      uint64 // writes that found the session changed by another
	Reruns         uint64 // functions of WithSession that ran again because of one
	Expired        uint64 // sessions that time ended
	StoreErrors    uint64 // calls to the store that failed
	FailedCommits  uint64 // responses replaced or aborted because the store or the program failed
	RefusedCommits uint64 // likewise, but caused by the client: 401, 403, 409, 413, or it hung up
	Refused        uint64 // session cookies, tokens and tickets that opened nothing: unknown session, stale token
	Mismatches     uint64 // sessions that came with another client's cookie
	ClosedWrites   uint64 // changes of a Session after its last commit, which are lost
	SaveFailures   uint64 // sessions of PerConnection that could not be stored when they were to be
	Overloaded     uint64 // handshakes that were refused by Options.MaxHandshakes and HandshakesPerSecond
	TooFast        uint64 // connections that were closed by ConnOptions.MessagesPerSecond
	EventsDropped  uint64 // events that a subscriber had no room for
	NotifyDropped  uint64 // messages of Notify that a connection had no room for

	RejectionsDropped uint64 // CredentialRejected events that a subscriber had no room for
}

// Stats returns the counts now.
func (b *Bridge) Stats() Stats {
	g := b.gateway.Stats()
	return Stats{
		Conns:             b.links.Count(),
		Attached:          b.clients.Len(),
		Healthy:           b.cluster.Healthy(),
		Writes:            g.Writes,
		Touches:           g.Touches,
		Conflicts:         g.Conflicts,
		Reruns:            b.stats.reruns.Load(),
		Expired:           g.Expired,
		StoreErrors:       g.StoreErrors,
		FailedCommits:     b.stats.failedCommits.Load(),
		RefusedCommits:    b.stats.refusedCommits.Load(),
		Refused:           b.stats.refused.Load(),
		Mismatches:        b.stats.mismatches.Load(),
		ClosedWrites:      b.stats.closedWrites.Load(),
		SaveFailures:      b.stats.failedSaves.Load(),
		Overloaded:        b.admit.Refused(),
		TooFast:           b.stats.tooFast.Load(),
		EventsDropped:     b.events.Dropped(),
		NotifyDropped:     b.stats.notifyDropped.Load(),
		RejectionsDropped: b.events.DroppedConfined(),
	}
}

// Ping returns nil if the store answers, and for a store that is no store.Pinger.
// ErrStoreUnavailable, and the cause of ctx's end.
func (b *Bridge) Ping(ctx context.Context) error { return b.gateway.Ping(ctx) }

// committed follows a change that was stored: it updates the map of clients, parts connections from
// the session, and reports the change. The session's commit lock is held.
func (b *Bridge) committed(c gateway.Commit) {
	from, rec := c.Tag.(*origin), c.Record
	isInit := b.mapClient(rec, c.IsNew)
	if c.Login {
		b.clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
	}
	if c.IsNew || c.Login {
		b.rebind(from, rec)
		if !c.IsNew || !from.clientIsNew() { // no other node knows a new client
			b.cluster.Announce(rec.ClientID, rec.ID)
		}
	}
	b.learn(rec)
	c.Later.Add(b.logCommit(&c, from))
	if c.Watched {
		b.emitSet(rec, SessionSet{
			PrevUserID: c.PrevUserID, IsNew: c.IsNew, IsInit: isInit, Login: c.Login, Rotated: c.Rotated, Keys: c.Keys,
			Via: from.via,
		})
	}
}

// emitSet reports that a session was stored or attached. It adds the IDs of rec to set.
func (b *Bridge) emitSet(rec *store.Record, set SessionSet) {
	if b.events.Active() {
		set.ClientID, set.SessionID, set.UserID = rec.ClientID, rec.ID, rec.UserID
		b.events.Emit(set)
	}
}

// mapClient maps the session and its client to each other, and reports whether this process does it
// for the first time.
func (b *Bridge) mapClient(rec *store.Record, newest bool) (isInit bool) {
	if isInit = b.clients.Attach(rec.ClientID, rec.ID, newest); isInit {
		b.clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
		b.clients.SetDue(rec.ID, rec.Expires)
		b.cluster.Seen(rec.ClientID)
	}
	return isInit
}

const (
	rebindGrace = 5 * time.Second // a parted connection is closed at the latest after this time
	// rebindDelay is the time from a handler's return until its response is assumed to be sent:
	// net/http, and perhaps a middleware with a buffer, sends the end of it after the return.
	rebindDelay = 100 * time.Millisecond
)

// rebind parts the client's older connections from their sessions at once, and closes them when the
// response with the new cookies has been sent. With Follow it moves them to the new session.
func (b *Bridge) rebind(from *origin, rec *store.Record) {
	if b.opts.Rebind == Follow {
		b.follow(rec)
		return
	}
	for _, l := range b.links.PartOlder(rec) {
		l.endLater(reconnect, false, rebindGrace)
		if from.request != nil {
			from.request.afterResponse(func() {
				b.clock.Add(time.Now().Add(rebindDelay), func() { l.endPending(false) })
			})
		}
	}
}

// ended follows the end of a session. The session's commit lock is held.
func (b *Bridge) ended(e gateway.End) {
	if !e.Found && !b.knows(e.ID) {
		return // its end has been reported, if this process knew it
	}
	from, ok := e.Tag.(*origin)
	if !ok {
		from = &origin{via: ViaTime, reason: ReasonExpired}
	}
	if e.Found && from.reason != ReasonExpired { // an expired session has ended before this
		b.opener.Ended(e.ID)
	}
	b.removeSession(e, from)
	if e.Found && ok && e.ClientID != "" { // other nodes notice an expiry by themselves
		b.cluster.Announce(e.ClientID, e.ID)
	}
}

// knows reports whether the session has connections in this process or is in the map of clients.
func (b *Bridge) knows(id string) bool { return b.links.HasSession(id) || b.clients.Attached(id) }

// forget ends a session in this process that was not found in the store. It has no effect on a
// session that is stored.
func (b *Bridge) forget(ctx context.Context, id string, l *Link) error {
	if !b.knows(id) {
		return nil
	}
	_, err := b.gateway.Forget(ctx, id, &origin{via: ViaStore, reason: ReasonDestroyed, link: l})
	return err
}

// removeSession removes a session that has ended from the map of clients, closes its connections,
// and reports the end. The log line is added to e.Later. Of e only ID and Later must be set.
func (b *Bridge) removeSession(e gateway.End, from *origin) {
	userID := cmp.Or(e.UserID, b.clients.UserOf(e.ID), from.userID, b.links.UserOf(e.ID))
	clientID := cmp.Or(b.clients.Detach(e.ID), e.ClientID)
	c := registry.Close{Code: from.reason.closeCode(), Reason: string(from.reason)}
	pending, keep := c, b.opts.OnSessionEnd == KeepConns
	if keep {
		pending = registry.Close{}
	}
	links := b.links.PartSession(e.ID, pending)
	e.Later.Add(func() { b.logEnd(e.ID, clientID, from) })
	end := SessionDestroy{ClientID: clientID, SessionID: e.ID, UserID: userID, Reason: from.reason, Via: from.via}
	if b.events.Active() { // before the events of the connections that it closes
		b.events.Emit(end)
	}
	if keep { // except connections of PerConnection, which can't go on without their session
		links = slices.DeleteFunc(links, func(l *Link) bool { return l.perConn.Load() == nil })
	}
	final := b.finalMessage(links, end)
	for _, l := range links {
		l.setFinalMessage(final)
		if l == from.link { // its handler still has to answer the message that ended the session
			l.endLater(c, true, closeGrace)
		} else {
			l.end(c.Code, c.Reason)
		}
	}
}

// hopeless reports whether a call to the store is useless: the store doesn't answer, and the Bridge
// is shutting down.
func (b *Bridge) hopeless() bool { return b.work.Stopped() && b.cluster.Frozen() }

// noticeLogin reports the login of rec, which was just loaded, if another process has made it and
// this one hasn't reported it yet.
func (b *Bridge) noticeLogin(ctx context.Context, rec *store.Record) {
	if b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) {
		_ = b.gateway.ReportIf(ctx, rec.ID,
			func() bool { return b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) },
			func(now *store.Record) { b.reportElsewhere(now, false) })
	}
}
