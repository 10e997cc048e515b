package bridge

import (
	"context"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

const defaultNotifyQueue = 256

// OnNotify makes the link take the messages of Bridge.Notify: send is called with one at a time, in
// their order, for at most WriteTimeout of the application's own making. An error, or a panic, ends
// the link, as one of Heartbeat's function does. limit and policy are as in ConnOptions; 0 is 256. A
// Conn takes them without.
func (l *Link) OnNotify(limit int, policy OverflowPolicy, send func(kind websocket.MessageType, data []byte) error) {
	if limit <= 0 {
		limit = defaultNotifyQueue
	}
	l.queue.Open(limit, policy.queue(), func(m *outbox.Message) error {
		err := errCallFailed
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

// queue returns the policy as the queue has it.
func (p OverflowPolicy) queue() outbox.Overflow {
	switch p {
	case DropOldest:
		return outbox.DropOldest
	case DropNewest:
		return outbox.DropNewest
	case CloseSlow:
	}
	return outbox.CloseQueue
}

func messageType(m *outbox.Message) websocket.MessageType {
	if m.Binary {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// send writes a message of a queue.
func (c *Conn) send(ctx context.Context, m *outbox.Message) error {
	return c.Write(ctx, messageType(m), m.Data)
}

// finalMessage starts to compose Options.LastMessage for the links of a session that has ended; nil
// if there is none. That runs in a goroutine of its own: the end of a session is reported under its
// commit lock, which must not wait for a callback, and the callback may use the Bridge.
func (b *Bridge) finalMessage(links []*Link, end SessionDestroy) *outbox.Final {
	if b.opts.LastMessage == nil || len(links) == 0 {
		return nil
	}
	return b.sender.Compose(func() *outbox.Message {
		data := b.opts.LastMessage(end)
		if data == nil {
			return nil
		}
		return &outbox.Message{Data: data, Binary: !utf8.Valid(data)}
	})
}

// setFinalMessage has a final message sent before the close, unless the link is being closed already.
func (l *Link) setFinalMessage(final *outbox.Final) {
	if final == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending == nil {
		l.final = final
	}
}

// flushFinal sends the messages that wait and the final one, before the close frame. It takes as
// long as the connection lets it, closeGrace at most.
func (l *Link) flushFinal() {
	l.mu.Lock()
	final := l.final
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	l.b.sender.Flush(ctx, &l.queue, final)
}
