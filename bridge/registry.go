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

// reconnect closes links that a login, or another session of their client, excludes.
var reconnect = registry.Close{Code: CodeReconnect, Reason: "session changed: reconnect"}

// unavailable closes links whose session can't be checked, because the store doesn't answer.
var unavailable = registry.Close{Code: CodeUnavailable, Reason: "session store unavailable"}

// Close reasons of connections beyond a limit.
const (
	reasonReplaced    = "a newer connection has taken its place"
	reasonTooMany     = "the session has too many connections"
	reasonTooManyAddr = "there are too many connections from the address"
)

func (b *Bridge) newRegistry() *registry.Registry[*Link] {
	return registry.New(registry.Config[*Link]{
		Entry: func(l *Link) *registry.Entry { return &l.entry },
		Ended: func(l *Link) bool { return l.ctx.Err() != nil },
		Clock: b.clock,
		Limits: registry.Limits{
			PerSession: max(0, b.opts.MaxConnsPerSession), PerAddr: max(0, b.opts.MaxConnsPerAddr),
			Evict: b.opts.OnTooManyConns == EvictOldestConn,
		},
		Look:            func(id string) { b.pools.background.Go(func() { b.recheckSession(id) }) },
		RevalidateEvery: zeroIfOff(b.opts.RevalidateEvery),
		Hold:            func(id string) { b.cluster.Retain(cluster.Topic{SessionID: id}) },
		Drop:            func(id string) { b.cluster.Release(cluster.Topic{SessionID: id}) },
		Reconnect:       reconnect,
		Replaced:        registry.Close{Code: CodePolicy, Reason: reasonReplaced},
		TooMany:         registry.Close{Code: CodePolicy, Reason: reasonTooMany},
	})
}

// learn updates the registry from a record of a session with links. If the record has a login that
// wasn't known here, the links that the login excludes are cut off.
func (b *Bridge) learn(rec *store.Record) {
	for _, l := range b.links.Learn(rec) {
		l.unlink()
	}
}

// unlink parts the link from its session. The link is closed when its handler next reads, so that
// an answer can still be sent, or after closeGrace.
func (l *Link) unlink() {
	l.endLater(reconnect, true, closeGrace) // first: the handler may notice at once that it has no session
	l.b.links.Part(l)
}

// follow moves all links of the client to its session, and closes those beyond the limit there.
func (b *Bridge) follow(rec *store.Record) {
	tooMany := b.links.Follow(rec.ClientID, rec.ID)
	b.learn(rec)
	b.cluster.SubscribeSoon(cluster.Topic{SessionID: rec.ID})
	for _, l := range tooMany {
		l.end(CodePolicy, reasonTooMany)
	}
}

// addLink registers l, a link of the session. The caller closes the evicted links. Before a limit
// refuses l, the others are probed: a page that was reloaded leaves a connection behind.
func (b *Bridge) addLink(ctx context.Context, l *Link, sessionID string) (evicted []*Link, err error) {
	evicted, err = b.links.Add(l)
	if errors.Is(err, registry.ErrSessionFull) || errors.Is(err, registry.ErrAddrFull) {
		b.probe(ctx, b.links.Rivals(sessionID, l.entry.Addr))
		evicted, err = b.links.Add(l)
	}
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

// addrFull reports whether the address has no room for a connection, after a probe.
func (b *Bridge) addrFull(ctx context.Context, addr string) bool {
	if !b.links.AddrFull(addr) {
		return false
	}
	b.probe(ctx, b.links.Rivals("", addr))
	return b.links.AddrFull(addr)
}

// How long a probe waits for one of the connections to end.
const (
	probeTime = time.Second            // if the Bridge begins to read from some of them
	raceTime  = 250 * time.Millisecond // if all are being read: an end may just be arriving
)

// probe makes the Bridge read from links whose handlers don't, and returns when a link has ended,
// or after a while: a page's new handshake may arrive before the end of its old connection.
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

// recheckSession loads a session with links, and cuts off those that no longer have access. The
// load ends an expired session; otherwise its deadline is updated.
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

// scheduleRecheck plans another check of a session that may have ended, if err says that the store
// could not tell. If the store doesn't answer in time, its connections are closed.
func (b *Bridge) scheduleRecheck(id string, err error) {
	if err != nil {
		b.links.Suspect(id, time.Now())
		b.retryRecheck(id, err)
	}
}

// retryRecheck is scheduleRecheck, but without a suspicion connections stay until the expiry.
func (b *Bridge) retryRecheck(id string, err error) {
	b.storeFailed(context.Background(), "find out whether a session is alive", id, err)
	for _, l := range b.links.Retry(id) {
		l.end(unavailable.Code, unavailable.Reason)
	}
}
