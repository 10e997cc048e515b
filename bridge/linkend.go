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

// Detach ends the link. It must be called when the handler ends, and may be called again.
//
// If the session is closing the link, or waits for the handler's answer before it does, Detach
// first sends the queued messages and calls the close function, for two seconds at most. So a
// handler may return as soon as the link's context ends, and its client still learns the reason.
// Otherwise the queued messages are dropped.
//
// Afterwards neither the close function nor the functions of OnNotify and Heartbeat are called.
// Detach waits for calls of those two and must not be called from them. Called from the close
// function it waits the two seconds in vain.
func (l *Link) Detach() {
	l.endPending(false)
	l.closer.Stop(l.closing.Begun(), 2*closeGrace) // one for the queued messages, one for the close frame
	l.abandon()
}

// abandon drops the queued messages and unregisters the link. For a link of Attach it waits for a
// running send function; a Conn's write ends later, when the Conn is closed.
func (l *Link) abandon() {
	l.queue.Close()
	l.detach(codeClosedByPeer, "")
	if sent := l.queue.Drained(); sent != nil && l.closer != nil {
		<-sent
	}
	l.beat.Load().Stop()
}

// detach removes the link and reports its end, once. code and reason count if no close has begun.
func (l *Link) detach(code int, reason string) {
	l.b.work.Enter() // a shutdown that no longer finds the link waits for its report
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

// close sends the queued messages and the final one, for closeGrace at most, and closes the link.
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

// setFinalMessage sets the message to send before the close, unless the close has begun.
func (l *Link) setFinalMessage(final *outbox.Final) {
	if final != nil && !l.closing.Begun() {
		l.final.Store(final)
	}
}

// endCause returns the cause of the end of a handler's context.
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

// comeBack returns the reason for closing together connections, in the form that Shutdown promises.
func (b *Bridge) comeBack(together int) string {
	return fmt.Sprintf("shutting down; retry after %d ms", b.admit.ReturnAfter(together).Milliseconds())
}

// finalMessage starts to compose Options.LastMessage for the links of a session that has ended; nil
// if there is none. The callback runs in its own goroutine: the caller holds the session's commit
// lock, and the callback may use the Bridge.
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
