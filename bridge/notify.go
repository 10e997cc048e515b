package bridge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// To selects the receivers of a message: exactly one of its fields is set. A client's cookie proves
// nothing, and its connections may have no session: send private messages to a session or a user.
type To struct {
	SessionID, ClientID, UserID string
	All                         bool // every connection, also without a session
}

func (to To) check() error {
	single := []To{{SessionID: to.SessionID}, {ClientID: to.ClientID}, {UserID: to.UserID}, {All: true}}
	if to == (To{}) || !slices.Contains(single, to) {
		return errors.New("bridge: To: exactly one of SessionID, ClientID, UserID and All is set")
	}
	return nil
}

// Notify sends a text message to the connections of a session, a client, a user, or to all, on
// every node. It returns the number of open connections that have accepted it: Conns, and Links
// with OnNotify. It waits for none of them: each has a queue, and ConnOptions.OnNotifyFull is the
// policy for a full one. Queued messages of a closing connection are sent, for a second at most.
//
// The payload is UTF-8; NotifyBinary sends any bytes. It is copied once, not for each connection. A
// To without exactly one field and an invalid payload are errors. With other nodes on the store
// also ErrStoreUnavailable, and ErrNodeSilent if a node hasn't answered, with the number of
// connections that are known to have accepted the message.
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
	if err := cmp.Or(to.check(), context.Cause(ctx)); err != nil {
		return 0, err
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
		}
	}
	b.sender.Wake(&wake)
	return taken
}

// linksOf returns the links that to selects.
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

// OnNotify makes the link accept the messages of Bridge.Notify. send is called with one message at
// a time, in order, and should have a write timeout. An error or a panic ends the link, as with
// Heartbeat. limit and policy are as in ConnOptions; 0 is 256. A Conn needs no OnNotify.
func (l *Link) OnNotify(limit int, policy OverflowPolicy, send func(kind websocket.MessageType, data []byte) error) {
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
		if err = send(messageType(m), m.Data); err == nil {
			l.sent.count(len(m.Data))
		}
		return err
	})
}
