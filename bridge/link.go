package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/closing"
	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/store"
)

// Link ties a long-lived connection to a session: one of any WebSocket library, or a streamed
// response. It lives from Attach until Detach or the session's end. It is safe for concurrent use.
type Link struct {
	b      *Bridge
	entry  registry.Entry                // its place in b.links
	origin origin                        // of the changes that come through it
	conn   *Conn                         // nil for a link of Attach
	closer *closing.Func[registry.Close] // the function that Attach was given; nil for a Conn
	root   linkContext                   // the parent of ctx
	ctx    context.Context               // ended by closing.Cancel

	userAgent      string
	active         atomic.Int64 // see activeSince
	received, sent traffic
	data           atomic.Pointer[any]
	queue          outbox.Queue // messages of Notify

	perConn atomic.Pointer[connSession]    // nil but for a PerConnection connection
	beat    atomic.Pointer[heartbeat.Beat] // of Heartbeat; nil: none

	closing closing.State[registry.Close]
	final   atomic.Pointer[outbox.Final] // the message to send before the close; nil: none
}

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

// Data returns the value of the last SetData, or nil.
func (l *Link) Data() any {
	if v := l.data.Load(); v != nil {
		return *v
	}
	return nil
}

// WithSession runs fn on the session and stores its changes when fn returns. No other WithSession
// runs on the session meanwhile, here or over HTTP. If another writer has changed the session, fn
// runs again; it should therefore change nothing but the session. If fn returns an error, its
// changes are not stored, but a Destroy takes effect. WithSession never creates a session: without
// one it calls onMissing, or returns ErrSessionMissing if that is nil.
//
// A nested call must get fn's context. On the same session it runs inside the outer call; on
// another session it returns ErrNested.
//
// Besides the errors of fn and onMissing: ErrSessionGone if the session ended meanwhile,
// ErrTokenRotated if a login replaced its token, ErrConflict, ErrStoreUnavailable,
// ErrSessionTooLarge, a *ValueError, and the cause of ctx's end during a wait.
func (l *Link) WithSession(
	ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
) error {
	ran, err := l.withSession(ctx, fn)
	if !ran && errors.Is(err, ErrSessionMissing) {
		return missing(ctx, onMissing)
	}
	return err
}

// withSession is WithSession without onMissing. ran is false if fn has not been called.
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
	if h := l.perConn.Load(); h != nil && h.s.id == id {
		return h.withSession(ctx, fn)
	}
	ran, err = b.withSessionID(ctx, id, proved, &l.origin, fn)
	if !ran && errors.Is(err, ErrSessionMissing) && !errors.Is(err, errCutOff) {
		b.scheduleRecheck(id, b.forget(ctx, id, l))
	}
	return ran, err
}

// errCutOff: the session exists, but this link no longer has access to it.
var errCutOff = fmt.Errorf("%w: a login has replaced the token", ErrSessionMissing)

// Active records activity of the client, which restarts the session's idle timeout. It doesn't
// block. A Conn calls it for each message that it reads.
func (l *Link) Active() {
	now := time.Now()
	l.active.Store(int64(l.b.clock.Offset(now)))
	if id, claimed := l.b.links.ClaimActivity(&l.entry, now, l.b.opts.TouchInterval); claimed {
		l.b.pools.activity.Go(func() { l.b.recordActivity(id) })
	}
}

// activeSince returns the time of the client's last activity, as an offset on the clock.
func (l *Link) activeSince() time.Duration { return time.Duration(l.active.Load()) }

func (b *Bridge) recordActivity(id string) {
	var recorded *store.Record
	defer func() { b.links.Recorded(id, recorded) }() // also if the store panics
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.LoadActive(context.Background(), id, func(*store.Record) error { return nil })
	switch {
	case err == nil:
		recorded = &rec
	case errors.Is(err, ErrSessionMissing):
		b.scheduleRecheck(id, b.forget(context.Background(), id, nil))
	default:
		b.storeFailed(context.Background(), "record a session's activity", id, err)
	}
}

// Received counts a message from the client, with its size in bytes, for ConnInfo and ConnClose,
// and calls Active. A Conn calls it for each message that it reads.
func (l *Link) Received(bytes int) {
	l.received.count(bytes)
	l.Active()
}

// Sent counts a message to the client, with its size in bytes. OnNotify and Conn count their own.
func (l *Link) Sent(bytes int) { l.sent.count(bytes) }

// traffic is a Traffic that is being counted.
type traffic struct{ messages, bytes atomic.Uint64 }

func (t *traffic) count(bytes int) {
	t.messages.Add(1)
	t.bytes.Add(uint64(max(0, bytes))) //nolint:gosec // a length
}

func (t *traffic) uncount(bytes int) {
	t.messages.Add(^uint64(0))
	t.bytes.Add(-uint64(bytes)) //nolint:gosec // a length
}

func (t *traffic) read() Traffic { return Traffic{t.messages.Load(), t.bytes.Load()} }

// Heartbeat calls beat repeatedly, every 30 s if every is 0, for the first time after one interval.
// beat sends a ping, or a comment of an event stream: proxies close silent connections, and only
// sending reveals that a client has vanished. The calls run one at a time, outside the caller's
// goroutine. Their ctx ends after 10 s or with the link.
//
// An error, a panic, or a call that takes longer than 10 s ends the link: its context ends,
// OnConnClose reports -1, and the close function of Attach is called with CodeFailed. beat must
// follow the library's rule about concurrent writers, as the function of OnNotify must. Detach
// waits for a running call, so beat must not call Detach; after Detach it isn't called again.
//
// A second call replaces the first; a nil beat stops it. For a Conn use ConnOptions.Heartbeat.
func (l *Link) Heartbeat(every time.Duration, beat func(ctx context.Context) error) {
	if every <= 0 {
		every = 30 * time.Second
	}
	if beat == nil {
		l.beat.Swap(nil).Stop()
		return
	}
	h := heartbeat.New(l.ctx, heartbeat.Config{
		Clock: l.b.clock, Group: l.b.work, Every: every, Call: beat, Fail: l.fail,
	})
	l.beat.Swap(h).Stop()
	h.Start()
}

// end starts to close the link; false if another close has begun.
func (l *Link) end(code int, reason string) bool {
	if !l.beginEnd(code, reason) {
		return false
	}
	task := func() { l.close(code, reason) }
	if l.closer != nil { // the application's function may block
		l.b.work.Go(task)
	} else {
		l.b.pools.closes.Go(task)
	}
	return true
}

// beginEnd ends the link's context for the caller's close; false if another close has begun.
func (l *Link) beginEnd(code int, reason string) bool {
	return l.closing.Begin(l.b.clock, registry.Close{Code: code, Reason: reason}, endCause(code))
}

// fail ends a link whose client can't be reached.
func (l *Link) fail(err error) {
	lost := registry.Close{Code: codeClosedByPeer}
	if l.closing.Begin(l.b.clock, lost, fmt.Errorf("%w: %w", socket.ErrClosed, err)) {
		l.b.work.Go(func() { l.close(CodeFailed, "the client could not be reached") })
	}
}

// endLater closes the link when endPending is called, or after the grace.
func (l *Link) endLater(c registry.Close, atRead bool, grace time.Duration) {
	l.closing.Postpone(l.b.clock, c, atRead, grace, func() { l.endPending(false) })
}

// endPending performs a postponed close; with atRead, only one that may happen at a read.
func (l *Link) endPending(atRead bool) {
	if c, ok := l.closing.Pending(atRead); ok {
		l.end(c.Code, c.Reason)
	}
}

// linkContext is the root of a link's context: it has the values of the request, without its end.
type linkContext struct {
	context.Context
	link *Link
}

// Value implements context.Context.
func (c *linkContext) Value(key any) any {
	if _, ok := key.(identityKey); ok {
		return identity(c.link)
	}
	return c.Context.Value(key)
}

func (c *linkContext) String() string { return "bridge.connection" }

func (c *linkContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }

func (l *Link) askClient() string     { return l.entry.ClientID }
func (l *Link) openedSession() string { return l.SessionID() }

// Format implements fmt.Formatter. It prints only the client, as a keyed hash.
func (l *Link) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Link(client %s)", l.client())
}

// LogValue implements slog.LogValuer.
func (l *Link) LogValue() slog.Value { return slog.GroupValue(slog.String("client", l.client())) }

func (l *Link) client() string {
	if l == nil {
		return ""
	}
	return l.b.hashed(l.entry.ClientID)
}
