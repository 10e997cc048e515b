package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// closeGrace is how long a close may take before the connection is cut.
const closeGrace = time.Second

// Link ties something long-lived to a session: a connection of any WebSocket library, a response that streams. It lives from Attach
// until Detach, or until the session's end closes it. It is safe for concurrent use.
type Link struct {
	b      *Bridge
	entry  registry.Entry  // its place in b.links
	origin origin          // of the changes that come through it
	conn   *Conn           // that it is of; nil for one of Attach
	closer *closer         // that Attach was given; nil for a Conn's
	base   context.Context // has the values of ctx
	ctx    context.Context
	cancel context.CancelCauseFunc

	userAgent      string
	active         atomic.Int64 // see activeSince
	received, sent traffic
	data           atomic.Pointer[any]
	queue          outbox.Queue // messages of Notify

	held atomic.Pointer[held] // the session of a PerConnection connection; nil: it has none

	mu      sync.Mutex
	pending *closing // to be done by endPending
	timer   *clock.Deadline
	ending  *registry.Close // begun
	final   *outbox.Final   // to be sent before the close; nil: none
	heart   *linkBeat       // of Heartbeat; nil: none
}

// closing is a close code and its reason; the zero value is none.
type closing struct {
	registry.Close
	atRead bool // it waits for the handler's next read only
}

// reconnect closes links that a login, or another session of their client, has shut out.
var reconnect = registry.Close{Code: CodeReconnect, Reason: "session changed: reconnect"}

// ID returns the connection's own ID.
func (l *Link) ID() string { return l.entry.ID }

// ClientID returns the client, which is fixed for the connection's life.
func (l *Link) ClientID() string { return l.entry.ClientID }

// SessionID returns the session's ID, "" while there is none.
func (l *Link) SessionID() string {
	id, _ := l.b.links.SessionOf(&l.entry)
	return id
}

// Context has the values of the request, and ends when the link does.
func (l *Link) Context() context.Context { return l.ctx }

// ConnectedAt returns when the link was attached.
func (l *Link) ConnectedAt() time.Time { return l.b.clock.Time(l.entry.OpenedAt) }

// SetData gives the link a value of the application's, which Data and ConnInfo.Data return.
func (l *Link) SetData(v any) { l.data.Store(&v) }

// Data returns what SetData was given last, or nil.
func (l *Link) Data() any {
	if v := l.data.Load(); v != nil {
		return *v
	}
	return nil
}

// WithSession runs fn on the session while no other WithSession runs on it, here or over HTTP, and stores what it changed when it returns. fn may run again
// if somebody else changed the session meanwhile, so it should change nothing but the session. If fn returns an error, nothing of it is stored,
// but a Destroy counts. It never creates a session: without one, onMissing is called, and nil gives ErrSessionMissing.
//
// A nested call on the same session must get fn's context: it runs inside the outer one. On another session it is ErrNested.
//
// Besides fn's and onMissing's errors: ErrSessionGone when the session ended meanwhile, ErrTokenRotated when a login did, ErrConflict,
// ErrStoreUnavailable, ErrSessionTooLarge, a *ValueError, and the cause of ctx's end while waiting.
func (l *Link) WithSession(ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error) error {
	ran, err := l.withSession(ctx, fn)
	if !ran && errors.Is(err, ErrSessionMissing) {
		return missing(ctx, onMissing)
	}
	return err
}

// withSession returns false when fn has not been run.
func (l *Link) withSession(ctx context.Context, fn func(context.Context, *Session) error) (ran bool, err error) {
	b := l.b
	id, proved := b.links.SessionOf(&l.entry)
	s, err := b.inside(ctx, id)
	switch {
	case err != nil:
		return false, err
	case s != nil:
		return true, s.runInside(ctx, fn)
	case id == "":
		return false, ErrSessionMissing
	}
	if h := l.held.Load(); h != nil && h.s.id == id {
		return h.withSession(ctx, fn)
	}
	ran, err = b.withSessionID(ctx, id, proved, &l.origin, fn)
	if !ran && errors.Is(err, ErrSessionMissing) && !errors.Is(err, errCutOff) {
		b.scheduleRecheck(id, b.forget(ctx, id, l))
	}
	return ran, err
}

// errCutOff: the session is there, but not for this link any more.
var errCutOff = fmt.Errorf("%w: a login has replaced the token", ErrSessionMissing)

// withSessionID runs fn on the session with the ID. It returns false when fn has not been run.
func (b *Bridge) withSessionID(ctx context.Context, id string, proved uint64, from *origin, fn func(context.Context, *Session) error) (ran bool, err error) {
	k := b.gateway.Acquire(id)
	defer k.Release()
	if err := k.Lock(ctx); err != nil {
		return false, err
	}
	defer k.Unlock()
	var rec store.Record
	var now time.Time
	if b.opts.CachedReads && from.link != nil && !b.cluster.Frozen() { // what is in memory says nothing about a store that is silent
		rec, now, err = b.gateway.LoadCachedAt(ctx, id, b.links.RevisionOf(id), k.Later())
	} else {
		rec, now, err = b.gateway.LoadAt(ctx, id, k.Later())
	}
	if err != nil {
		return false, err
	}
	if registry.ShutOut(proved, rec.LoginGeneration) {
		from.link.unlink() // by a login on another node; one on this node has done it
		return false, errCutOff
	}
	b.clients.CountRead(id)
	if from.via == ViaSocket {
		if err := b.gateway.Touch(ctx, k, &rec, now); err != nil {
			return false, err
		}
	}
	var all struct { // in one allocation
		session Session
		state   sessionState
		mark    mark
	}
	s := &all.session
	s.sessionState = &all.state
	if err := s.init(b, rec, from); err != nil {
		return false, err
	}
	s.draft.Prove(proved)
	defer s.seal()
	return true, s.run(ctx, k, &all.mark, fn)
}

// detach removes the link and reports its end, once. A close that was begun here says how it ended.
func (l *Link) detach(code int, reason string) {
	l.b.work.Enter() // a shutdown that doesn't find the link any more waits for its report
	defer l.b.work.Leave()
	sessionID, userID, removed := l.b.links.Remove(l)
	if !removed {
		return
	}
	l.b.cluster.Release(cluster.Topic{ClientID: l.entry.ClientID})
	l.mu.Lock()
	if l.ending == nil {
		l.ending = &registry.Close{Code: code, Reason: reason}
	}
	code, reason = l.ending.Code, l.ending.Reason
	l.b.clock.Remove(l.timer)
	l.mu.Unlock()
	l.cancel(errConnClosed)
	if l.b.events.Active() {
		l.b.events.Emit(ConnClose{
			ConnID: l.entry.ID, ClientID: l.entry.ClientID, SessionID: sessionID, UserID: userID, Code: code, Reason: reason, Open: time.Since(l.ConnectedAt()),
			Received: l.received.read(), Sent: l.sent.read(),
		})
	}
}

// errConnClosed is the cause of a link's context when it has been closed.
var errConnClosed = errors.New("bridge: connection closed")

// end closes the link, soon; false when it is being closed already.
func (l *Link) end(code int, reason string) bool {
	if !l.beginEnd(code, reason) {
		return false
	}
	task := func() { l.close(code, reason) }
	if l.closer != nil { // what an application wrote may hang
		l.b.work.Go(task)
	} else {
		l.b.pools.closes.Go(task)
	}
	return true
}

// close closes the link, once what waits to be sent has been.
func (l *Link) close(code int, reason string) {
	l.flushFinal()
	if l.closer != nil {
		l.closer.call(code, reason)
	} else {
		l.conn.shut(code, reason)
	}
}

// beginEnd makes the caller the one who closes the link; false when somebody else is.
func (l *Link) beginEnd(code int, reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending != nil {
		return false
	}
	l.ending = &registry.Close{Code: code, Reason: reason}
	l.b.clock.Remove(l.timer)
	l.cancel(endCause(code))
	return true
}

// endCause is what a handler finds as its context's cause.
func endCause(code int) error {
	switch code {
	case CodeReconnect:
		return ErrTokenRotated
	case CodeShutdown:
		return ErrShutdown
	case CodeUnavailable:
		return ErrStoreUnavailable
	case CodeDestroyed, CodeExpired, CodeEvicted:
		return ErrSessionGone
	case CodeNoSession:
		return ErrSessionMissing
	}
	return errConnClosed
}

// endLater closes the link when endPending is called, or after the grace.
func (l *Link) endLater(c closing, grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending != nil || l.pending != nil {
		return
	}
	l.pending = &c
	l.timer = l.b.clock.Add(time.Now().Add(grace), l.endPending)
}

// reading performs a close that was postponed until the handler's next Read.
func (l *Link) reading() {
	l.mu.Lock()
	atRead := l.pending != nil && l.pending.atRead
	l.mu.Unlock()
	if atRead {
		l.endPending()
	}
}

// endPending does what endLater put off.
func (l *Link) endPending() {
	l.mu.Lock()
	p := l.pending
	l.mu.Unlock()
	if p != nil {
		l.end(p.Code, p.Reason)
	}
}
