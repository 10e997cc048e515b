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

// The order of the locks, and what may run under which, is in docs/architecture.md. In short: no
// code of the application runs under a session's merge or commit lock or under a mutex here, and
// Destroy takes the commit lock only.

// Bridge shares sessions between HTTP handlers and WebSocket connections. Make it with New, once
// for each store and cookie name, and end it with Shutdown. It is safe for concurrent use.
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
	cleanup  autoCleanup
	logKey   *redact.Key
	stats    counters
	shutOnce sync.Once
	shutDone chan struct{} // closed when the first Shutdown has returned shutErr
	shutErr  error
	overrule atomic.Bool // setCookies has logged that a Cache-Control was overruled
	logins   *logins.Gate
	limits   *logins.Limits
	tickets  *tickets.Tickets
	admit    *admission.Gate
	cluster  *cluster.Node // nil: the store knows of no other processes
	gorilla  *gorillastore.Store
}

type counters struct {
	mismatches, refused, reruns, failedCommits, refusedCommits, closedWrites, notifyDropped, failedSaves, tooFast atomic.Uint64
}

// committed draws the consequences of a change that was stored. It runs under the session's commit
// lock.
func (b *Bridge) committed(c gateway.Commit) {
	from := c.Tag.(*origin)
	rec := c.Record
	isInit := b.mapClient(rec, c.IsNew)
	if c.Login {
		b.clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
	}
	if c.IsNew || c.Login {
		b.rebind(from, rec)
		if !c.IsNew || !from.clientIsNew() { // otherwise no other node holds the client
			b.cluster.Announce(rec.ClientID, rec.ID)
		}
	}
	b.learn(rec)
	c.Later.Add(b.logCommit(&c, from))
	if c.Watched {
		b.events.Emit(SessionSet{
			ClientID: rec.ClientID, SessionID: rec.ID, UserID: rec.UserID, PrevUserID: c.PrevUserID,
			IsNew: c.IsNew, IsInit: isInit, Login: c.Login, Rotated: c.Rotated, Keys: c.Keys, Via: from.via,
		})
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

// rebindGrace is how long a connection without its session may wait for the response that brings
// the new cookies.
const rebindGrace = 5 * time.Second

// rebindDelay is how long after the handler's return the response is taken to have left: net/http,
// and perhaps a buffering middleware, sends the end of it only then.
const rebindDelay = 100 * time.Millisecond

// rebind cuts the client's connections off from the session that they had, at once, and has them
// closed when the response with the new cookies has gone. Those that follow are moved to the new
// session instead.
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

// ended draws the consequences of a session's end. It runs under the session's commit lock.
func (b *Bridge) ended(e gateway.End) {
	if !e.Found && !b.knows(e.ID) {
		return // it has been reported, if it was ever known here
	}
	from, ok := e.Tag.(*origin)
	if !ok {
		from = &origin{via: ViaTime, reason: ReasonExpired}
	}
	if e.Found && from.reason != ReasonExpired { // otherwise it had ended before that was noticed
		b.opener.Ended(e.ID)
	}
	b.sessionOver(e.ID, e.ClientID, e.UserID, from, e.Later)
	if e.Found && e.Tag != nil && e.ClientID != "" { // time comes by itself
		b.cluster.Announce(e.ClientID, e.ID)
	}
}

// knows reports whether the session has connections here, or is in the map.
func (b *Bridge) knows(id string) bool { return b.links.HasSession(id) || b.clients.Attached(id) }

// forget is for a session that was not found in the store, although nobody has reported its end
// here. It hurts no session that is alive.
func (b *Bridge) forget(ctx context.Context, id string, l *Link) error {
	if !b.knows(id) {
		return nil
	}
	_, err := b.gateway.Forget(ctx, id, &origin{via: ViaStore, reason: ReasonDestroyed, link: l})
	return err
}

// sessionOver ends what this process has of a session that is over, and tells of it; the line in
// the log comes later. userID is who was logged in, if whoever calls knows.
func (b *Bridge) sessionOver(id, clientID, userID string, from *origin, later *gateway.Later) {
	userID = cmp.Or(userID, b.clients.UserOf(id), from.userID, b.links.UserOf(id))
	if mapped := b.clients.Detach(id); mapped != "" {
		clientID = mapped
	}
	c := registry.Close{Code: from.reason.closeCode(), Reason: string(from.reason)}
	over, kept := c, b.opts.OnSessionEnd == KeepConns
	if kept {
		over = registry.Close{}
	}
	links := b.links.PartSession(id, over)
	later.Add(func() { b.logEnd(id, clientID, from) })
	end := SessionDestroy{ClientID: clientID, SessionID: id, UserID: userID, Reason: from.reason, Via: from.via}
	if b.events.Active() { // before the closes that it is the cause of
		b.events.Emit(end)
	}
	if kept { // those that hold the session have nothing to go on with
		links = slices.DeleteFunc(links, func(l *Link) bool { return l.perConn.Load() == nil })
	}
	final := b.finalMessage(links, end)
	for _, l := range links {
		l.setFinalMessage(final)
		if l == from.link { // it has the answer to its own wish to come
			l.endLater(c, true, closeGrace)
		} else {
			l.end(c.Code, c.Reason)
		}
	}
}

// hopeless reports whether it is no use to ask the store: it doesn't answer, and the Bridge is
// being shut down.
func (b *Bridge) hopeless() bool { return b.work.Stopped() && b.cluster.Frozen() }

// pools run the Bridge's own tasks. Each kind has a pool of its own, so that tasks that hang delay
// no other kind: a close that the peer doesn't answer takes a second, and a store may take as long
// as Options.StoreTimeout. A task costs some kilobytes while it waits.
type pools struct {
	background *workers.Pool // lookups in the store, cleanups, saves
	closes     *workers.Pool // of connections
	remoteEnds *workers.Pool // ends of sessions that other nodes have reported
	activity   *workers.Pool // to be recorded in the store
}

// taskPanicked reports a task of the Bridge that has panicked.
func (b *Bridge) taskPanicked(value any) {
	b.panicked(context.Background(), "background task panicked", "run a background task: it panicked", "", value)
}

// Stats is what a Bridge has counted since it was made, unless it says now.
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

	RejectionsDropped uint64 // CredentialRejected events, likewise: any client can cause these
}

// Stats returns the counts now.
func (b *Bridge) Stats() Stats {
	g := b.gateway.Stats()
	return Stats{
		Conns:          b.links.Count(),
		Attached:       b.clients.Len(),
		Healthy:        b.cluster.Healthy(),
		Writes:         g.Writes,
		Touches:        g.Touches,
		Conflicts:      g.Conflicts,
		Reruns:         b.stats.reruns.Load(),
		Expired:        g.Expired,
		StoreErrors:    g.StoreErrors,
		FailedCommits:  b.stats.failedCommits.Load(),
		RefusedCommits: b.stats.refusedCommits.Load(),
		Refused:        b.stats.refused.Load(),
		Mismatches:     b.stats.mismatches.Load(),
		ClosedWrites:   b.stats.closedWrites.Load(),
		SaveFailures:   b.stats.failedSaves.Load(),
		Overloaded:     b.admit.Refused(),
		TooFast:        b.stats.tooFast.Load(),
		EventsDropped:  b.events.Dropped(),
		NotifyDropped:  b.stats.notifyDropped.Load(),

		RejectionsDropped: b.events.DroppedConfined(),
	}
}

// Ping returns nil when the store answers, as far as it can be asked. ErrStoreUnavailable, and the
// cause of ctx's end.
func (b *Bridge) Ping(ctx context.Context) error { return b.gateway.Ping(ctx) }

// noticeLogin reports the login of rec, which was just loaded, to subscribers if another process
// has made it and this one has not reported it yet.
func (b *Bridge) noticeLogin(ctx context.Context, rec *store.Record) {
	if !b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) {
		return
	}
	_ = b.gateway.ReportIf(ctx, rec.ID,
		func() bool { return b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) },
		func(now *store.Record) { b.tellElsewhere(now, false) })
}
