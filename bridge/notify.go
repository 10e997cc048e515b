package bridge

import (
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// To says whose connections are meant: exactly one of its fields is set. A client is known by a
// cookie that proves nothing, and has connections without a session, too: what is not for everybody
// goes to a session or a user.
type To struct {
	SessionID, ClientID, UserID string
	All                         bool // everybody's, also of those without a session
}

// Notify sends a text message to the connections of a session, a client, a user, or everybody, on
// every node, and returns how many it is on its way to: those are the open ones that take messages,
// Conns and Links with OnNotify. It waits for none of them: each has a queue of its own, and
// ConnOptions.OnNotifyFull says what becomes of one that is full. A message that is waiting when
// its connection closes is still sent, unless that takes longer than a second.
//
// The payload is UTF-8; NotifyBinary sends anything. It is copied once, not for each connection. An
// error for a To that names nobody or several, and for a payload that is no text. With other nodes
// on the store also ErrStoreUnavailable, and ErrNodeSilent when one of them hasn't said what it
// did: beside the number of connections that are known to be sent it.
func (b *Bridge) Notify(ctx context.Context, to To, payload []byte) (int, error) {
	if !utf8.Valid(payload) {
		return 0, errors.New("bridge: Notify: the payload is not UTF-8, which a text message has to be " +
			"(NotifyBinary sends anything)")
	}
	return b.notify(ctx, to, &outbox.Message{Data: slices.Clone(payload)})
}

// NotifyBinary is Notify with a binary message.
func (b *Bridge) NotifyBinary(ctx context.Context, to To, payload []byte) (int, error) {
	return b.notify(ctx, to, &outbox.Message{Data: slices.Clone(payload), Binary: true})
}

func (b *Bridge) notify(ctx context.Context, to To, m *outbox.Message) (int, error) {
	if err := to.check(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if b.cluster.Frozen() {
		return 0, errFrozen
	}
	n := b.notifyHere(to, m)
	elsewhere, err := b.notifyNodes(ctx, to, m)
	return n + elsewhere, err
}

// notifyHere is notify for the connections of this process.
func (b *Bridge) notifyHere(to To, m *outbox.Message) (taken int) {
	var wake outbox.Batch
	for _, l := range b.linksOf(to) {
		switch l.queue.Offer(m, &wake) {
		case outbox.Queued:
			taken++
		case outbox.ReplacedOldest:
			taken++
			b.stats.notifyDropped.Add(1)
		case outbox.Dropped:
			b.stats.notifyDropped.Add(1)
		case outbox.Overflowed:
			b.stats.notifyDropped.Add(1)
			l.end(CodePolicy, "too slow for what it is sent")
		case outbox.Refused:
		}
	}
	b.sender.Wake(&wake)
	return taken
}

func (to To) check() error {
	n := 0
	for _, set := range []bool{to.SessionID != "", to.ClientID != "", to.UserID != "", to.All} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("bridge: To: exactly one of SessionID, ClientID, UserID and All is set")
	}
	return nil
}

// linksOf returns the links that are meant.
func (b *Bridge) linksOf(to To) []*Link {
	switch {
	case to.All:
		return b.links.All()
	case to.SessionID != "":
		return b.links.OfSession(to.SessionID)
	case to.ClientID != "":
		return b.links.OfClient(to.ClientID)
	}
	return b.links.OfUser(to.UserID)
}

// OnNotify makes the link take the messages of Bridge.Notify: send is called with one at a time, in
// their order, for at most WriteTimeout of the application's own making. An error, or a panic, ends
// the link, as one of Heartbeat's function does. limit and policy are as in ConnOptions; 0 is 256.
// A Conn takes them without.
func (l *Link) OnNotify(limit int, policy OverflowPolicy, send func(kind websocket.MessageType, data []byte) error) {
	if limit <= 0 {
		limit = defaultNotifyQueue
	}
	l.queue.Open(limit, policy.queue(), func(m *outbox.Message) error {
		err := heartbeat.ErrPanicked
		defer func() {
			if err != nil {
				l.fail(err)
			}
		}()
		if err = send(messageType(m), m.Data); err == nil {
			l.sent.count(len(m.Data))
		}
		return err
	})
}
