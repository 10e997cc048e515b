package bridge

import (
	"cmp"
	"context"
	"errors"
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

// Locks are taken in this order, each only after those before it; none is taken while a later one is held:
//
//	a request's opening slot           one goroutine of a request opens its session
//	a connection's turn (connSession)  a function runs on the session of a PerConnection, or that is stored
//	a session's outer lock (gateway)   a function of WithSession runs
//	a Session's slot                   its changes, and their commit
//	a user's turn (logins)             a login of the user is stored
//	the sweep lock (gateway)           until what a sweep has removed is reported
//	a session's merge lock (gateway)   a merge is stored
//	a session's commit lock (gateway)  one change is stored and reported, a session is ended
//	a request's mutex, that of its opening.Exchange
//	the login gate, clients, links, subscriptions, a Link's mutex, outboxes, pools, the clock, subscribers: innermost, for a few instructions
//
// The first three are held while an application's function runs, or for the goroutines of one request or connection, and a wait for them ends with a context. Under
// the others no application's code runs: no log line is written (gateway.Later, Bridge.logAside), no value encoded, no callback called. Destroy takes the commit lock only.

// Bridge shares sessions between HTTP handlers and WebSocket connections. Make it with New, once for each store and cookie name, and
// end it with Shutdown. It is safe for concurrent use.
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
	overrule atomic.Bool // tellOverruled has logged
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

// New returns a Bridge over st. Nil options are all defaults; an option out of range is an error that names its field. The store stays the caller's to close, after Shutdown.
func New(st store.Store, opts *Options) (*Bridge, error) {
	if st == nil {
		return nil, errors.New("bridge: New needs a store; livestore.New() makes one in memory")
	}
	s, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := opts.checkLimits(st); err != nil {
		return nil, err
	}
	b := &Bridge{
		opts:     s,
		logins:   logins.NewGate(),
		events:   newEvents(s.Logger),
		logKey:   logKey(s.Keys[0]),
		shutDone: make(chan struct{}),
	}
	b.clients = clientmap.New(max(s.MaxKnownSessions, 0), func(id string) bool { return b.links.HasSession(id) })
	b.work = workers.New(b.taskPanicked)
	b.pools = newPools(b.work)
	b.clock = clock.New()
	b.lines = newLogQueue(b)
	apps := st
	st = b.join(st)
	b.gateway = gateway.New(st, gateway.Config{
		TouchInterval: s.TouchInterval,
		MaxValueBytes: s.MaxValueBytes,
		StoreTimeout:  s.StoreTimeout,
		Committed:     b.committed,
		Ended:         b.ended,
		Reason:        reportedReason,
		Watched:       b.events.Active,
		Doubted: func(id string) {
			b.links.Suspect(id, time.Now())
			b.pools.background.Go(func() { b.recheckSession(id) })
		},
		Failed: b.storeFailed,
		Gate:   b.logins,
	})
	b.opener = newOpener(b)
	b.links = b.newRegistry()
	b.limits = b.newLimits()
	b.sockets = socket.NewRuntime(b.clock, b.work)
	b.sender = outbox.NewSender(b.clock, b.work)
	b.tickets = newTickets(b, apps)
	b.admit = admission.New(admission.Config{
		AtOnce: s.MaxHandshakes, PerSecond: s.HandshakesPerSecond, Burst: s.HandshakeBurst,
	})
	b.gorilla = b.newGorilla()
	switch {
	case s.AutoCleanup == Off:
	case b.gateway.CanSweep():
		b.StartAutoCleanup(s.AutoCleanup)
	default:
		s.Logger.Warn("expired sessions that aren't used again stay in the store, which is neither a store.Sweeper nor a store.Lister: " +
			"implement one of them, or have the database remove what has expired and set Options.AutoCleanup to Off")
	}
	b.pruneEvery(s.pruneEvery())
	b.cluster.Start()
	return b, nil
}

// Shutdown closes every connection with CodeShutdown, waits for their handlers, and stops every
// goroutine of the Bridge: when it returns nil there is none left. Handshakes are refused from its
// beginning; the closes are spread over Options.DrainOver. Their reason tells the client when to
// come back: "shutting down; retry after 1834 ms", another time for each. If ctx ends first it
// returns its cause; handlers that don't end with their context and event callbacks that hang are
// then still running. Requests are served on: shut the http.Server down first, or at the same time
// where it waits for streams that are attached. A further call waits for the first one and returns
// its result, or the cause of its own ctx if that ends before.
func (b *Bridge) Shutdown(ctx context.Context) error {
	first := false
	b.shutOnce.Do(func() { first = true })
	if first {
		defer close(b.shutDone)
		b.shutErr = b.shutdown(ctx)
		return b.shutErr
	}
	select {
	case <-b.shutDone:
		return b.shutErr
	default:
	}
	select {
	case <-b.shutDone:
		return b.shutErr
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *Bridge) shutdown(ctx context.Context) error {
	b.work.Stop()
	b.StopAutoCleanup()
	b.drain(ctx)
	err := b.work.Wait(ctx)
	if err == nil {
		b.clock.Close()
	} else { // what is still running has its limits from the clock
		go func() { // ends with what is running
			_ = b.work.Wait(context.Background())
			b.clock.Close()
		}()
	}
	err = errors.Join(err, b.work.Wait(ctx)) // for what the clock has started meanwhile
	for _, l := range b.links.All() {        // whose handlers haven't come to Detach yet, or never will
		l.detach(codeClosedByPeer, "")
	}
	err = errors.Join(err, b.work.Wait(ctx)) // for those that are at it
	err = errors.Join(err, b.cluster.Leave(ctx), b.work.Wait(ctx))
	b.events.Close()
	done := make(chan struct{})
	go func() { // ends with the callbacks
		b.events.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// committed draws the consequences of a change that was stored. It runs under the session's commit lock.
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

// mapClient maps the session and its client to each other, and reports whether this process does it for the first time.
func (b *Bridge) mapClient(rec *store.Record, newest bool) (isInit bool) {
	if isInit = b.clients.Attach(rec.ClientID, rec.ID, newest); isInit {
		b.clients.SetLogin(rec.ID, rec.UserID, rec.LoginGeneration)
		b.clients.SetDue(rec.ID, rec.Expires)
		b.cluster.Seen(rec.ClientID)
	}
	return isInit
}

// rebindGrace is how long a connection without its session may wait for the response that brings the new cookies.
const rebindGrace = 5 * time.Second

// rebindDelay is how long after the handler's return the response is taken to have left: net/http, and perhaps a buffering
// middleware, sends the end of it only then.
const rebindDelay = 100 * time.Millisecond

// rebind cuts the client's connections off from the session that they had, at once, and has them closed when the response with the
// new cookies has gone. Those that follow are moved to the new session instead.
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

// forget is for a session that was not found in the store, although nobody has reported its end here. It hurts no session that is
// alive.
func (b *Bridge) forget(ctx context.Context, id string, l *Link) error {
	if !b.knows(id) {
		return nil
	}
	_, err := b.gateway.Forget(ctx, id, &origin{via: ViaStore, reason: ReasonDestroyed, link: l})
	return err
}

// sessionOver ends what this process has of a session that is over, and tells of it; the line in the
// log comes later. userID is who was logged in, if whoever calls knows.
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
