package bridge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// To selects the receivers of a message: exactly one of SessionID, ClientID, UserID, Name, All and
// Conns is set. A client's cookie proves nothing, and its connections may have no session: send
// private messages to a session or a user.
type To struct {
	SessionID, ClientID, UserID string
	Name                        string // a room: every connection with this name (ConnOptions.Name)
	All                         bool   // every connection, also without a session
	// Conns are IDs of connections, on any node. One without a connection has no effect; an empty
	// list is an error.
	Conns []string

	// Except is the ID of a connection that doesn't get the message, most often the sender's. It
	// limits SessionID, ClientID, UserID, Name and All.
	Except string
}

// Notify sends a text message to the connections of a session, a client, a user or a name, or to
// all, on every node. It returns the number of open connections that have accepted it: Conns, and
// Links with OnNotify. It waits for none of them: each has a queue, and ConnOptions.OnNotifyFull is
// the policy for a full one. Queued messages of a closing connection are sent, for a second at
// most.
//
// It is sent at once: a function of WithSession or Messages, which may run again, sends it in each
// run. A function of Messages uses Message.Notify instead.
//
// The payload is UTF-8; NotifyBinary sends any bytes. It is copied once, not for each connection.
// An invalid To, which the error explains, and an invalid payload are errors, and ErrShutdown once
// Shutdown has returned. With other nodes on the store also ErrStoreUnavailable, and ErrNodeSilent
// if a node hasn't answered, with the number of connections that are known to have accepted the
// message.
func (b *Bridge) Notify(ctx context.Context, to To, payload []byte) (int, error) {
	m, err := outbox.Text("Notify", payload)
	if err != nil {
		return 0, err
	}
	return b.notify(ctx, to, m)
}

// NotifyBinary is Notify with a binary message.
func (b *Bridge) NotifyBinary(ctx context.Context, to To, payload []byte) (int, error) {
	return b.notify(ctx, to, &outbox.Message{Data: slices.Clone(payload), Binary: true})
}

// NotifyJSON is Notify with v encoded as JSON. An error of encoding v is returned, and nothing is
// sent.
func (b *Bridge) NotifyJSON(ctx context.Context, to To, v any) (int, error) {
	m, err := outbox.JSON("NotifyJSON", v)
	if err != nil {
		return 0, err
	}
	return b.notify(ctx, to, m)
}

// Notify queues a text message for other connections, as Bridge.Notify sends it. Like a Reply it is
// sent after the changes of the function have been stored, and after the replies; not at all if the
// function fails or runs again. So a chat sends what it has stored, once. It is sent even if the
// client has left by then. The next message of the client is read when it has been sent.
//
// An invalid To and an invalid payload are errors, and so is a call after the function's return.
// Failures to send it are reported as a Failure.
func (m Message) Notify(to To, payload []byte) error {
	text, err := outbox.Text("Message.Notify", payload)
	return m.notify(to, 0, text, err)
}

// NotifyJSON is Notify with v encoded as JSON.
func (m Message) NotifyJSON(to To, v any) error {
	text, err := outbox.JSON("Message.NotifyJSON", v)
	return m.notify(to, 0, text, err)
}

// notify queues a message, which is kept for that time unless it is 0.
func (m Message) notify(to To, keep time.Duration, text *outbox.Message, err error) error {
	selection := registry.Selection(to)
	if err == nil {
		err = selection.Check()
	}
	if err != nil {
		return err
	}
	to.Conns = slices.Clone(to.Conns)
	return m.replies.Notify(notice{to, keep, text})
}

// notice is a message of Message.Notify or NotifyKept.
type notice struct {
	to      To
	keep    time.Duration // 0: it isn't kept
	message *outbox.Message
}

// notify sends a notice, whether or not ctx has ended.
func (l *Link) notify(ctx context.Context, n notice) {
	ctx = context.WithoutCancel(ctx)
	var err error
	if n.keep > 0 {
		err = l.b.notifyKept(ctx, n.to, n.keep, n.message)
	} else {
		_, err = l.b.notify(ctx, n.to, n.message)
	}
	if err != nil {
		l.b.report.StoreFailed(ctx, "send a message of Message.Notify to every node", l.SessionID(), err)
	}
}

func (b *Bridge) notify(ctx context.Context, to To, m *outbox.Message) (int, error) {
	selection := registry.Selection(to)
	if err := cmp.Or(selection.Check(), b.canNotify(ctx)); err != nil {
		return 0, err
	}
	n := b.notifyHere(&selection, m, false)
	rest, anywhere := b.links.Elsewhere(selection)
	if !anywhere {
		return n, nil
	}
	elsewhere, err := b.calls.Notify(ctx, &rest, m)
	return n + elsewhere, err
}

// notifyHere is notify for the connections of this process. Those that keep their place get a message
// that is kept in another way.
func (b *Bridge) notifyHere(to *registry.Selection, m *outbox.Message, isKept bool) (taken int) {
	var wake outbox.Batch
	for _, l := range b.links.Select(to) {
		if isKept && l.keeps.Load() {
			continue
		}
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
