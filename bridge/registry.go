package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// Reasons of closes of connections that are too many.
const (
	reasonReplaced    = "a newer connection has taken its place"
	reasonTooMany     = "the session has too many connections"
	reasonTooManyAddr = "there are too many connections from the address"
)

func (b *Bridge) newRegistry() *registry.Registry[*Link] {
	s := b.opts
	return registry.New(registry.Config[*Link]{
		Entry:           func(l *Link) *registry.Entry { return &l.entry },
		Ended:           func(l *Link) bool { return l.ctx.Err() != nil },
		Clock:           b.clock,
		Limits:          registry.Limits{PerSession: max(0, s.MaxConnsPerSession), PerAddr: max(0, s.MaxConnsPerAddr), Evict: s.OnTooManyConns == EvictOldestConn},
		Look:            func(id string) { b.pools.background.Go(func() { b.recheckSession(id) }) },
		RevalidateEvery: zeroIfOff(s.RevalidateEvery),
		Hold:            func(id string) { b.cluster.Retain(cluster.Topic{SessionID: id}) },
		Drop:            func(id string) { b.cluster.Release(cluster.Topic{SessionID: id}) },
		Reconnect:       reconnect,
		Replaced:        registry.Close{Code: CodePolicy, Reason: reasonReplaced},
		TooMany:         registry.Close{Code: CodePolicy, Reason: reasonTooMany},
	})
}

// addLink registers l. The links that it returns have to go for it.
func (b *Bridge) addLink(l *Link) (evicted []*Link, err error) {
	evicted, err = b.links.Add(l)
	switch {
	case errors.Is(err, registry.ErrIDInUse):
		err = fmt.Errorf("%w: another connection that is open has it", ErrConnID)
	case errors.Is(err, registry.ErrSessionFull):
		err = fmt.Errorf("%w: it has %d", ErrTooManySessionConns, b.opts.MaxConnsPerSession)
	case errors.Is(err, registry.ErrAddrFull):
		err = fmt.Errorf("%w: it has %d", ErrTooManyAddrConns, b.opts.MaxConnsPerAddr)
	}
	return evicted, err
}

// learn takes over what a record says of a session with links. If it tells of a login that wasn't
// known here, the links that the login shuts out are parted from the session.
func (b *Bridge) learn(rec *store.Record) {
	for _, l := range b.links.Learn(rec) {
		l.unlink()
	}
}

// unlink parts the link from its session, and has it closed when it next reads, for the answer that
// is on its way, or soon.
func (l *Link) unlink() {
	l.endLater(reconnect, true, closeGrace) // first: its handler may notice at once
	l.b.links.Part(l)
}

// follow moves all links of the client to its session. Those that are too many there are closed.
func (b *Bridge) follow(rec *store.Record) {
	tooMany := b.links.Follow(rec.ClientID, rec.ID)
	b.learn(rec)
	b.cluster.SubscribeSoon(cluster.Topic{SessionID: rec.ID})
	for _, l := range tooMany {
		l.end(CodePolicy, reasonTooMany)
	}
}

// How long a connection that would be refused waits for one of the others to end.
const (
	probeTime = time.Second            // if the Bridge reads from some of them only from now on
	raceTime  = 250 * time.Millisecond // if all are being read: their end may just be arriving
)

// addOrProbe is addLink for a link of the session. Before the link is refused as one too many, the
// others are probed: a page that was just reloaded has left one behind.
func (b *Bridge) addOrProbe(ctx context.Context, l *Link, sessionID string) (evicted []*Link, err error) {
	evicted, err = b.addLink(l)
	if errors.Is(err, ErrTooManyConns) {
		b.probe(ctx, b.links.Rivals(sessionID, l.entry.Addr))
		evicted, err = b.addLink(l)
	}
	return evicted, err
}

// addrFull reports whether a connection from the address would be refused, after a probe.
func (b *Bridge) addrFull(ctx context.Context, addr string) bool {
	if !b.links.AddrFull(addr) {
		return false
	}
	b.probe(ctx, b.links.Rivals("", addr))
	return b.links.AddrFull(addr)
}

// probe has the Bridge read from the links from which no handler reads, and returns when one of
// them has ended, or after a while. The end of a page's old connection and the handshake of its new
// one arrive in any order.
func (b *Bridge) probe(ctx context.Context, links []*Link) {
	wait := raceTime
	for _, l := range links {
		if l.conn != nil && l.conn.socket.Watch() {
			wait = probeTime
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, l := range links {
		defer context.AfterFunc(l.ctx, cancel)()
	}
	<-ctx.Done()
}

// reconnect closes links that a login, or another session of their client, has shut out.
var reconnect = registry.Close{Code: CodeReconnect, Reason: "session changed: reconnect"}

// recheckSession asks the store whether a session with links is over, or has shut some of them out.
// Loading it ends it if it has expired; activity since has moved its deadline if not.
func (b *Bridge) recheckSession(id string) {
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case err == nil:
		b.learn(&rec)
		b.clients.SetDue(id, rec.Expires)
		b.noticeLogin(context.Background(), &rec)
	case errors.Is(err, ErrSessionMissing):
		b.scheduleRecheck(id, b.forget(context.Background(), id, nil))
	default:
		b.retryRecheck(id, err)
	}
}

// scheduleRecheck has a session that may have ended checked again when the store could not say
// whether it is alive. Its connections are closed if that takes too long.
func (b *Bridge) scheduleRecheck(id string, err error) {
	if err == nil {
		return
	}
	b.links.Suspect(id, time.Now())
	b.retryRecheck(id, err)
}

// retryRecheck is scheduleRecheck, but a session whose time isn't over, and which is not suspected
// to have ended, keeps its connections however long the store is away.
func (b *Bridge) retryRecheck(id string, err error) {
	b.storeFailed(context.Background(), "find out whether a session is alive", id, err)
	for _, l := range b.links.Retry(id) {
		l.end(CodeUnavailable, "session store unavailable")
	}
}
