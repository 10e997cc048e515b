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

// Link ties something long-lived to a session: a connection of any WebSocket library, a response
// that streams. It lives from Attach until Detach, or until the session's end closes it. It is safe
// for concurrent use.
type Link struct {
	b      *Bridge
	entry  registry.Entry                // its place in b.links
	origin origin                        // of the changes that come through it
	conn   *Conn                         // that it is of; nil for one of Attach
	closer *closing.Func[registry.Close] // that Attach was given; nil for a Conn's
	base   context.Context               // has the values of ctx
	ctx    context.Context               // ended by closing.Cancel

	userAgent      string
	active         atomic.Int64 // see activeSince
	received, sent traffic
	data           atomic.Pointer[any]
	queue          outbox.Queue // messages of Notify

	perConn atomic.Pointer[connSession]    // nil but for a PerConnection connection
	beat    atomic.Pointer[heartbeat.Beat] // of Heartbeat; nil: none

	closing closing.State[registry.Close]
	final   atomic.Pointer[outbox.Final] // to be sent before the close; nil: none
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

// Data returns what SetData was given last, or nil.
func (l *Link) Data() any {
	if v := l.data.Load(); v != nil {
		return *v
	}
	return nil
}

// WithSession runs fn on the session while no other WithSession runs on it, here or over HTTP, and
// stores what it changed when it returns. fn may run again if somebody else changed the session
// meanwhile, so it should change nothing but the session. If fn returns an error, nothing of it is
// stored, but a Destroy counts. It never creates a session: without one, onMissing is called, and
// nil gives ErrSessionMissing.
//
// A nested call on the same session must get fn's context: it runs inside the outer one. On another
// session it is ErrNested.
//
// Besides fn's and onMissing's errors: ErrSessionGone when the session ended meanwhile,
// ErrTokenRotated when a login did, ErrConflict, ErrStoreUnavailable, ErrSessionTooLarge, a
// *ValueError, and the cause of ctx's end while waiting.
func (l *Link) WithSession(
	ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
) error {
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
	if h := l.perConn.Load(); h != nil && h.s.id == id {
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

// Active records activity of the client, which keeps the session from its idle timeout. It waits
// for nothing. A Conn does it for each message that it reads.
func (l *Link) Active() {
	now := time.Now()
	l.active.Store(int64(l.b.clock.Offset(now)))
	if id, claimed := l.b.links.ClaimActivity(&l.entry, now, l.b.opts.TouchInterval); claimed {
		l.b.pools.activity.Go(func() { l.b.recordActivity(id) })
	}
}

// activeSince returns since when the client has not been active, as an offset on the clock.
func (l *Link) activeSince() time.Duration { return time.Duration(l.active.Load()) }

func (b *Bridge) recordActivity(id string) {
	var recorded *store.Record
	defer func() { b.links.Recorded(id, recorded) }() // whatever happens, a store that panics included
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

// Received counts a message that has come from the client, of so many bytes, for ConnInfo and
// ConnClose. It is activity of the client: see Active. A Conn does it for each message that it
// reads.
func (l *Link) Received(bytes int) {
	l.received.count(bytes)
	l.Active()
}

// Sent counts a message that has been sent to the client, of so many bytes. Those of OnNotify are
// counted already, and a Conn counts what it writes.
func (l *Link) Sent(bytes int) { l.sent.count(bytes) }

// traffic counts it.
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

// defaultBeat is Link.Heartbeat's interval unless it is given another.
const defaultBeat = 30 * time.Second

// Heartbeat has beat called every so often, for the first time after that time; 0 is 30 s. It is
// for a ping, or a comment of an event stream: proxies cut what is silent for long, and a client
// that has vanished is noticed by what is sent to it. One call runs at a time, in a goroutine of
// its own, and its ctx ends after 10 s or with the link.
//
// An error, a panic, or a call that takes longer than 10 s ends the link: its context ends,
// OnConnClose reports -1, and the close function that Attach was given is called with CodeFailed.
// beat needs the library's rule about writers, as the function of OnNotify does. After Detach,
// which waits for a call that runs, it is not called any more; so beat must not call Detach.
//
// A second call of Heartbeat replaces the first; a nil beat ends it. A Conn has a heartbeat of its
// own: ConnOptions.Heartbeat.
func (l *Link) Heartbeat(every time.Duration, beat func(ctx context.Context) error) {
	if every <= 0 {
		every = defaultBeat
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

// linkContext is a link as the root of its context: it has values, and doesn't end.
type linkContext Link

// Deadline implements context.Context.
func (*linkContext) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// Done implements context.Context.
func (*linkContext) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (*linkContext) Err() error { return nil }

// Value implements context.Context.
func (c *linkContext) Value(key any) any {
	if _, ok := key.(identityKey); ok {
		return identity((*Link)(c))
	}
	return c.base.Value(key)
}

func (l *Link) askClient() string     { return l.entry.ClientID }
func (l *Link) openedSession() string { return l.SessionID() }

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

// beginEnd makes the caller the one who closes the link; false when another does.
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

// endPending does what endLater has put off; atRead asks for a close that waits for the handler's
// next read.
func (l *Link) endPending(atRead bool) {
	if c, ok := l.closing.Pending(atRead); ok {
		l.end(c.Code, c.Reason)
	}
}

// Format implements fmt.Formatter: of a link only the client is printed, as a keyed hash.
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

func (c *linkContext) String() string { return "bridge.connection" }

func (c *linkContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }
