package bridge

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// maxKeep is the longest time that a message is kept.
const maxKeep = day

// NotifyKept sends a text message to the connections of a session or of a user, on every node, and
// keeps it for that time: 1 ms to 24 h. A client that offers the subprotocol KeptProtocol gets it in
// order and once, also if it was disconnected meanwhile; if it has come back too late, it is told
// that something is gone (docs/sockets.md). So a message survives a login's 4001, a deploy and a dead
// network. Other connections get it as they get one of Notify: if they are open now.
//
// Of To only SessionID or UserID is set. Messages for a user reach every session of the user, those
// for a session that session, and end with it. MaxKeptMessages and MaxKeptBytes limit how many are
// kept. They are kept in a store that is a store.Keeper, as that of redisstore is, in one round trip;
// otherwise in this process, and end with it. Messages of one caller come in the order of its calls.
// There is no order between kept ones, for a user and for a session, and those of Notify.
//
// When it returns nil, the message is kept. Errors: an invalid To, keep or payload; a payload of more
// than MaxKeptBytes; ErrSessionMissing; ErrStoreUnavailable, after which it may have been kept,
// or may be kept later; ErrUnsupported for a store of several nodes that is no store.Keeper;
// ErrShutdown. If other nodes can't be reached for their other connections, that is a Failure only.
func (b *Bridge) NotifyKept(ctx context.Context, to To, keep time.Duration, payload []byte) error {
	m, err := outbox.Text("NotifyKept", payload)
	if err != nil {
		return err
	}
	return b.notifyKept(ctx, to, keep, m)
}

// NotifyKeptBinary is NotifyKept with a binary message.
func (b *Bridge) NotifyKeptBinary(ctx context.Context, to To, keep time.Duration, payload []byte) error {
	return b.notifyKept(ctx, to, keep, &outbox.Message{Data: slices.Clone(payload), Binary: true})
}

// NotifyKept queues a text message as Notify does, which is sent as by Bridge.NotifyKept.
func (m Message) NotifyKept(to To, keep time.Duration, payload []byte) error {
	text, err := outbox.Text("Message.NotifyKept", payload)
	if err == nil {
		err = checkKept(to, keep)
	}
	return m.notify(to, keep, text, err)
}

// checkKept returns an error unless a message to these receivers can be kept for that time.
func checkKept(to To, keep time.Duration) error {
	selection := registry.Selection(to)
	switch {
	case selection.Check() != nil:
		return selection.Check()
	case to.SessionID == "" && to.UserID == "":
		return errors.New("bridge: To of a kept message: set SessionID or UserID: messages are kept for these only")
	case to.Except != "":
		return errors.New("bridge: To of a kept message has no Except: a connection that comes back has another ID")
	case keep < MinTimeout || keep > maxKeep:
		return fmt.Errorf("bridge: keep: %v is out of range: %v to %v", keep, MinTimeout, maxKeep)
	}
	return nil
}

func (b *Bridge) notifyKept(ctx context.Context, to To, keep time.Duration, m *outbox.Message) error {
	if err := cmp.Or(checkKept(to, keep), b.canNotify(ctx)); err != nil {
		return err
	}
	if len(m.Data) > b.opts.MaxKeptBytes {
		return fmt.Errorf("bridge: NotifyKept: the payload has %d bytes; Options.MaxKeptBytes is %d",
			len(m.Data), b.opts.MaxKeptBytes)
	}
	of := store.KeptFor{SessionID: to.SessionID, UserID: to.UserID}
	if err := b.keep(ctx, of, keep, m); err != nil {
		return err
	}
	b.kept.Poke(of)
	selection := registry.Selection(to)
	b.notifyHere(&selection, m, true)
	if err := b.calls.NotifyKept(ctx, &selection, m); err != nil { // it is kept
		b.report.StoreFailed(ctx, "send a kept message to connections of other nodes", of.SessionID, err)
	}
	return nil
}

// keep keeps the message.
func (b *Bridge) keep(ctx context.Context, of store.KeptFor, keep time.Duration, m *outbox.Message) error {
	const doing = "keep a message"
	switch {
	case b.keeper == nil:
		return fmt.Errorf("bridge: keep a message: the store has several nodes and is no store.Keeper: %w", ErrUnsupported)
	case b.keptHere != nil && of.SessionID != "": // it doesn't know sessions
		if _, err := b.gateway.Load(ctx, of.SessionID); err != nil {
			return err
		}
	}
	limited, cancel := context.WithTimeout(ctx, b.opts.StoreTimeout)
	defer cancel()
	err := b.keeper.Keep(limited, of, store.KeptMessage{Binary: m.Binary, Data: m.Data}, store.KeepLimits{
		For: keep, Messages: b.opts.MaxKeptMessages, Bytes: b.opts.MaxKeptBytes,
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return ErrSessionMissing
	}
	return gateway.Unavailable(ctx, doing, err)
}

// newKept sets what keeps messages, in the store as this node uses it or in this process.
func (b *Bridge) newKept(st store.Store) {
	keeper, shared := store.As[store.Keeper](st)
	switch {
	case shared:
		b.keeper = keeper
	case b.cluster == nil:
		b.keptHere = kept.NewMemory(b.opts.MaxKeptMemory, b.inBackground)
		b.keeper = b.keptHere
	}
	pool := b.work.Pool(64)
	b.kept = kept.New(kept.Config{
		Keeper: b.keeper, Secrets: keptSecrets(b.opts.Keys), Timeout: b.opts.StoreTimeout,
		Topics: b.cluster, Go: pool.Go, After: b.inBackground,
		Failed: func(err error) {
			b.report.StoreFailed(context.Background(), "read kept messages", "", err)
		},
	})
}

// inBackground has a task run after that time.
func (b *Bridge) inBackground(after time.Duration, task func()) {
	b.clock.Add(time.Now().Add(after), func() { b.pools.background.Go(task) })
}

// keptSecrets returns the secrets of positions.
func keptSecrets(keys [][]byte) [][sha256.Size]byte {
	secrets := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		secrets[i] = credentials.DeriveKey(key, "sessionbridge kept positions")
	}
	return secrets
}

// KeptProtocol, "sessionbridge.kept", is the subprotocol that a client offers, together with
// Subprotocol, to get messages of NotifyKept with their positions. When it comes back it offers
// KeptProtocol, a dot and the last position. See docs/sockets.md.
const KeptProtocol = credentials.KeptProtocol

// KeptPosition returns the position that a client presents at a handshake, "" with its first
// connection. ok is false if it doesn't offer KeptProtocol. It is for Link.OnKept: a Conn does this
// itself.
func KeptPosition(r *http.Request) (position string, ok bool) { return credentials.KeptOffer(r) }

// KeptState says what a Kept is.
type KeptState int

// The states.
const (
	KeptMessage KeptState = iota // a message
	KeptReady                    // the client has got what it missed: from now on it is live
	KeptGone                     // messages after the client's position are lost, for it has come too late
)

// Kept is a message of NotifyKept, or what a client has to know about its place: see Link.OnKept.
type Kept struct {
	State    KeptState
	Type     websocket.MessageType // of a message; otherwise MessageText
	Data     []byte                // of a message; must not be changed
	Position string                // the client's position when it has this: at most 200 letters, digits and ._-

	frame *kept.Frame
}

// Frame returns it as a Conn sends it: see docs/sockets.md. A WebSocket library sends that as one
// message of k.Type.
func (k Kept) Frame() []byte { return k.frame.Encode(k.Position) }

// EscapeKept returns a message that isn't kept as it has to be sent to a client that expects frames:
// one that begins with U+001E is changed. A Conn does this itself.
func EscapeKept(data []byte) []byte { return kept.Escape(data) }

// OnKept makes the link of a client that keeps its place accept messages: those of Notify with
// notify, as OnNotify does, and those of NotifyKept with send, in order and once, beginning with those
// that the client has missed. position is the last one that it has got, "" for its first connection:
// of KeptPosition, or the Last-Event-ID of an event stream. The position only says what not to send
// again; what is sent is for the session and the user of the link. Call it once, instead of OnNotify.
//
// notify and send are called one at a time, in the same order as messages come, and a failure of
// either ends the link. limit and policy are for notify. A client that takes its time misses no kept
// message, unless it is dropped meanwhile.
//
// Errors: ErrStoreUnavailable, and the cause of ctx's end; the link then receives only what Notify
// sends. ErrUnsupported with Options.Rebind Follow, which moves links to other sessions.
func (l *Link) OnKept(
	ctx context.Context, position string, limit int, policy OverflowPolicy,
	notify func(kind websocket.MessageType, data []byte) error, send func(k Kept) error,
) error {
	if l.b.opts.Rebind == Follow {
		return fmt.Errorf("bridge: OnKept: Options.Rebind is Follow: %w", ErrUnsupported)
	}
	l.keeps.Store(true)
	l.openQueue(limit, policy, func(m *outbox.Message) error {
		if n, is := m.Note.(keptNote); is {
			return send(n.kept())
		}
		return notify(messageType(m), m.Data)
	})
	err := l.joinKept(ctx, position, func(ctx context.Context) (time.Time, error) {
		rec, err := l.b.gateway.LoadShared(ctx, l.SessionID())
		return rec.LoggedIn, err
	})
	if err != nil {
		l.keeps.Store(false)
	}
	return err
}

// joinKept makes the link a reader of what is kept for its session and its user.
func (l *Link) joinKept(
	ctx context.Context, position string, loggedIn func(context.Context) (time.Time, error),
) error {
	b := l.b
	start := kept.Start{Position: position, First: position == "", LoggedIn: loggedIn}
	if b.keeper != nil {
		start.SessionID, start.UserID, _ = b.links.State(l)
	}
	limited, cancel := context.WithTimeout(ctx, b.opts.StoreTimeout)
	defer cancel()
	reader, err := b.kept.Join(limited, (*keptOwner)(l), start)
	if err != nil {
		return gateway.Unavailable(ctx, "read kept messages", err)
	}
	l.reader.Store(reader)
	if _, _, open := b.links.State(l); !open { // it may have been detached before it had a reader
		b.kept.Leave(reader)
	}
	return nil
}

// keptOwner is a Link, as its kept.Reader uses it.
type keptOwner Link

// keptNote is the note of a message that is a frame.
type keptNote struct {
	reader *kept.Reader
	frame  *kept.Frame
}

// kept returns what the note stands for, and makes its position that of the client.
func (n keptNote) kept() Kept {
	k := Kept{
		State: KeptState(n.frame.Kind), Type: websocket.MessageText, Data: n.frame.Data,
		Position: n.reader.Position(n.frame), frame: n.frame,
	}
	if n.frame.Binary {
		k.Type = websocket.MessageBinary
	}
	return k
}

// Current and Enqueue implement kept.Owner.
func (o *keptOwner) Current() (sessionID, userID string) {
	sessionID, userID, _ = o.b.links.State((*Link)(o))
	return sessionID, userID
}

func (o *keptOwner) Enqueue(r *kept.Reader, f *kept.Frame) bool {
	var wake outbox.Batch
	defer o.b.sender.Wake(&wake)
	m := &outbox.Message{Data: f.Data, Binary: f.Binary, Note: keptNote{r, f}}
	return o.queue.Insist(m, &wake) == outbox.Queued
}

// keptSent is called when a message of the queue has been sent.
func (l *Link) keptSent(m *outbox.Message) {
	if n, is := m.Note.(keptNote); is {
		l.b.kept.Sent(n.reader)
	}
}

// canNotify returns an error if no message can be sent now.
func (b *Bridge) canNotify(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case <-b.shutDone:
		return ErrShutdown
	default:
	}
	if b.cluster.Frozen() {
		return errorcodes.ErrFrozen
	}
	return nil
}
