package bridge

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// Detach ends the link: whatever it stood for is over. It must be called when the handler ends, and
// may be called again.
//
// A close of the session's that has begun, or waits for the handler to answer, is finished first:
// what waits to be sent is, then the close function is called. That takes two seconds at most, so
// that a handler may return as soon as the link's context ends and its client is still told why.
// Without one, what waits to be sent is dropped.
//
// Afterwards neither the close function is called any more nor those that OnNotify and Heartbeat
// were given. Detach waits for the latter: it is not to be called from there. Called from the close
// function it waits the two seconds for nothing.
func (l *Link) Detach() {
	l.endPending(false)
	l.closer.Stop(l.closing.Begun(), 2*closeGrace) // one for what waits to be sent, one for the close frame
	l.abandon()
}

// abandon drops the waiting messages and unregisters the link. For a link of Attach it waits for a
// send function that is running; the write of a Conn ends when the Conn is closed, afterwards.
func (l *Link) abandon() {
	l.queue.Close()
	l.detach(codeClosedByPeer, "")
	if sent := l.queue.Drained(); sent != nil && l.closer != nil {
		<-sent
	}
	l.beat.Load().Stop()
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
	c := l.closing.Finish(l.b.clock, registry.Close{Code: code, Reason: reason}, socket.ErrClosed)
	if l.b.events.Active() {
		l.b.events.Emit(ConnClose{
			ConnID: l.entry.ID, ClientID: l.entry.ClientID, SessionID: sessionID, UserID: userID,
			Code: c.Code, Reason: c.Reason, Open: time.Since(l.ConnectedAt()),
			Received: l.received.read(), Sent: l.sent.read(),
		})
	}
}

// endCause is the cause of the end of a handler's context.
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
	return socket.ErrClosed
}

// close closes the link. The messages that wait and the final one are sent before, as far as that
// takes no longer than closeGrace.
func (l *Link) close(code int, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	l.b.sender.Flush(ctx, &l.queue, l.final.Load())
	cancel()
	if l.closer != nil {
		l.closer.Call(registry.Close{Code: code, Reason: reason})
	} else {
		l.conn.socket.Close(code, reason)
	}
}

// setFinalMessage has a final message sent before the close, unless the link is being closed
// already.
func (l *Link) setFinalMessage(final *outbox.Final) {
	if final != nil && !l.closing.Begun() {
		l.final.Store(final)
	}
}

// comeBack is the reason of a close at a shutdown, for one of so many that are closed at once. Its
// form is a promise: see Shutdown.
func (b *Bridge) comeBack(together int) string {
	return fmt.Sprintf("shutting down; retry after %d ms", b.admit.ReturnAfter(together).Milliseconds())
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
