package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/closing"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
	"github.com/sessionbridge/sessionbridge/internal/traffic"
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
	missing        MissingReason // of a link that has no session after its handshake
	active         atomic.Int64  // see activeSince
	received, sent traffic.Counter
	data           atomic.Pointer[any]
	queue          outbox.Queue // messages of Notify
	keeps          atomic.Bool  // it keeps its place among kept messages
	reader         atomic.Pointer[kept.Reader]

	remote  *remote                        // nil but for a RemoteLink
	perConn atomic.Pointer[connSession]    // nil but for a PerConnection connection
	beat    atomic.Pointer[heartbeat.Beat] // of Heartbeat; nil: none

	closing closing.State[registry.Close]
	final   atomic.Pointer[outbox.Final] // the message to send before the close; nil: none
}

// remote is what only a RemoteLink has.
type remote struct {
	lease  clock.Deadline
	opened chan struct{} // closed once ConnOpen is reported
}

// ID returns the connection's own ID: see LinkOptions.ID.
func (l *Link) ID() string { return l.entry.ID }

// Name returns the name of ConnOptions.Name or LinkOptions, "" for none.
func (l *Link) Name() string { return l.entry.Name }

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
// one it calls onMissing, or returns ErrSessionMissing if that is nil, whose reason MissingReasonOf
// returns.
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
	return l.runOnSession(ctx, false, fn, onMissing)
}

// runOnSession is WithSession. With quiet it is no activity, unless fn changes the session.
func (l *Link) runOnSession(ctx context.Context, quiet bool, fn sessionFunc, onMissing missingFunc) error {
	ran, err := l.withSession(ctx, quiet, fn)
	switch {
	case ran || !errors.Is(err, ErrSessionMissing):
		return err
	case onMissing == nil:
		return newMissing(l.MissingReason())
	}
	return onMissing(ctx)
}

// MissingReason returns why the link has no session: because there was none when it was attached,
// or because of what has happened to it since. It is "" if the link has one. As with
// Bridge.MissingReason, a reason that this process doesn't know is MissingUnknown.
func (l *Link) MissingReason() MissingReason {
	now, last, ended := l.b.links.LastOf(&l.entry)
	switch {
	case now != "":
		return ""
	case last == "":
		return l.missing
	}
	if l.b.links.CloseOf(&l.entry) == tracking.DeviceOver {
		return MissingDevice
	}
	reason := l.b.missingReason(last)
	if reason == MissingUnknown && !ended && l.missing == "" { // it was parted from a session that goes on
		reason = MissingReplaced
	}
	return reason
}

// withSession is runOnSession without onMissing. ran is false if fn has not been called.
func (l *Link) withSession(ctx context.Context, quiet bool, fn sessionFunc) (ran bool, err error) {
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
	ran, err = b.withSessionID(ctx, id, proved, &l.origin, !quiet, fn)
	if !ran && errors.Is(err, ErrSessionMissing) && !errors.Is(err, errorcodes.ErrCutOff) {
		b.tracker.Missing(ctx, id, l)
	}
	return ran, err
}

// Active records activity of the client, which restarts the session's idle timeout. It doesn't
// block. A Conn calls it for each message that it reads.
func (l *Link) Active() {
	now := time.Now()
	l.active.Store(int64(l.b.clock.Offset(now)))
	if id, claimed := l.b.links.ClaimActivity(&l.entry, now, l.b.opts.TouchInterval); claimed {
		l.b.pools.activity.Go(func() { l.b.tracker.RecordActivity(id) })
	}
}

// activeSince returns the time of the client's last activity, as an offset on the clock.
func (l *Link) activeSince() time.Duration { return time.Duration(l.active.Load()) }

// Received counts a message from the client, with its size in bytes, for ConnInfo and ConnClose,
// and calls Active. A Conn calls it for each message that it reads.
//
// One beyond Options.MessagesPerSession or MessagesPerAddr closes the link with CodePolicy and is no
// activity.
func (l *Link) Received(bytes int) {
	l.received.Count(bytes)
	if l.admitMessage() == nil {
		l.Active()
	}
}

// Sent counts a message to the client, with its size in bytes. OnNotify and Conn count their own.
func (l *Link) Sent(bytes int) { l.sent.Count(bytes) }

// Traffic counts the messages in one direction of a connection.
type Traffic struct {
	Messages, Bytes uint64 // bytes of messages, without what the protocol adds
}

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

// OnNotify makes the link accept the messages of Bridge.Notify. send is called with one message at
// a time, in order, and should have a write timeout. An error or a panic ends the link, as with
// Heartbeat. limit and policy are as in ConnOptions; 0 is 256. A Conn needs no OnNotify.
func (l *Link) OnNotify(limit int, policy OverflowPolicy, send func(kind websocket.MessageType, data []byte) error) {
	l.openQueue(limit, policy, func(m *outbox.Message) error { return send(messageType(m), m.Data) })
}

// openQueue makes the link accept messages, which send sends.
func (l *Link) openQueue(limit int, policy OverflowPolicy, send func(m *outbox.Message) error) {
	if limit <= 0 {
		limit = defaultNotifyQueue
	}
	l.queue.Open(limit, outbox.Overflow(policy), func(m *outbox.Message) error {
		err := heartbeat.ErrPanicked
		defer func() {
			if err != nil {
				l.fail(err)
			}
		}()
		if err = send(m); err == nil {
			l.sent.Count(len(m.Data))
			l.keptSent(m)
		}
		return err
	})
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
	return l.closing.Begin(l.b.clock, registry.Close{Code: code, Reason: reason}, errorcodes.Cause(code))
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

// yieldID takes a Remote whose close has begun out of the registry, so that its ID is free: its
// Close may take long, and may be what attaches it again.
func (l *Link) yieldID() {
	if l.remote != nil && l.closing.Begun() {
		l.detach(codeClosedByPeer, "")
	}
}

// watch makes the Bridge read from a Conn whose handler doesn't; false if that was not necessary.
func (l *Link) watch() bool { return l.conn != nil && l.conn.socket.Watch() }

// saveSoon has the session of a PerConnection connection saved, without waiting for its handler.
func (l *Link) saveSoon() {
	if h := l.perConn.Load(); h != nil {
		h.saver.Soon()
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
	if l == nil || l.b == nil {
		return ""
	}
	return l.b.report.Hash(l.entry.ClientID)
}
