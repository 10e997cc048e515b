package bridge

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/admission"
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
	if l.remote != nil { // it may be closed as soon as it is registered
		<-l.remote.opened
	}
	sessionID, userID, removed := l.b.links.Remove(l)
	if !removed {
		return
	}
	l.b.kept.Leave(l.reader.Load())
	defer l.b.links.Free(l)                                   // after the report
	if active := l.activeSince(); active > l.entry.OpenedAt { // perhaps it isn't recorded yet
		l.b.clients.Active(sessionID, l.b.clock.Time(active))
	}
	l.b.cluster.Release(cluster.Topic{ClientID: l.entry.ClientID})
	c := l.closing.Finish(l.b.clock, registry.Close{Code: code, Reason: reason}, socket.ErrClosed)
	if l.remote != nil {
		l.b.clock.Remove(&l.remote.lease) // a Renew that comes later finds that the close has begun
	}
	if l.b.events.Active() {
		l.b.events.Emit(ConnClose{
			ConnID: l.entry.ID, ClientID: l.entry.ClientID, SessionID: sessionID, UserID: userID,
			Code: c.Code, Reason: c.Reason, Open: time.Since(l.ConnectedAt()),
			Received: Traffic(l.received.Read()), Sent: Traffic(l.sent.Read()),
		})
	}
}

// close sends the queued messages and the final one, for closeGrace at most, and closes the link.
func (l *Link) close(code int, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	l.b.sender.Flush(ctx, &l.queue, l.final.Load())
	cancel()
	if l.conn != nil {
		l.conn.socket.Close(code, reason)
		return
	}
	if l.remote != nil { // no handler calls Detach
		defer l.abandon()
	}
	l.closer.Call(registry.Close{Code: code, Reason: reason})
}

// setFinalMessage sets the message to send before the close, unless the close has begun.
func (l *Link) setFinalMessage(final *outbox.Final) {
	if final != nil && !l.closing.Begun() {
		l.final.Store(final)
	}
}

// comeBack returns the reason for closing together connections, in the form that Shutdown promises.
func (b *Bridge) comeBack(together int) string {
	return fmt.Sprintf("shutting down; retry after %d ms", b.admit.ReturnAfter(together).Milliseconds())
}

// drain closes every connection, in batches over Options.DrainOver. When ctx is about to end it
// closes all that are left: each close waits a second for its peer.
func (b *Bridge) drain(ctx context.Context) {
	all := b.links.All() // in the order of a map: the tabs of a session are not all in one batch
	admission.Drain(ctx, all, zeroIfOff(b.opts.DrainOver), 2*closeGrace, func(batch []*Link) {
		for _, l := range batch {
			l.end(CodeShutdown, b.comeBack(len(batch)))
			l.saveSoon() // its handler may hang
		}
	})
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
