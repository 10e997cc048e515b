package bridge

import (
	"context"
)

const eventQueue = 1024 // events that wait for an Observer before it misses some

// OnSessionSet calls fn after each session that was stored or attached, until off is called. It is
// an Observe of one kind of events, as is every On… method: each has a queue and a goroutine of its
// own, so the order between two of them is not defined. Use Observe to follow a session, a user or
// a connection through events of several kinds.
func (b *Bridge) OnSessionSet(fn func(SessionSet)) (off func()) {
	return b.Observe(Observer{SessionSet: fn})
}

// OnSessionDestroy calls fn after each session that ended.
func (b *Bridge) OnSessionDestroy(fn func(SessionDestroy)) (off func()) {
	return b.Observe(Observer{SessionDestroy: fn})
}

// OnCleanup calls fn after each removal of expired sessions.
func (b *Bridge) OnCleanup(fn func(Cleanup)) (off func()) { return b.Observe(Observer{Cleanup: fn}) }

// OnConnOpen calls fn after each connection that was opened.
func (b *Bridge) OnConnOpen(fn func(ConnOpen)) (off func()) { return b.Observe(Observer{ConnOpen: fn}) }

// OnConnClose calls fn after each connection that was closed.
func (b *Bridge) OnConnClose(fn func(ConnClose)) (off func()) {
	return b.Observe(Observer{ConnClose: fn})
}

// OnCredentialRejected calls fn after each credential that opened nothing.
func (b *Bridge) OnCredentialRejected(fn func(CredentialRejected)) (off func()) {
	return b.Observe(Observer{CredentialRejected: fn})
}

// OnFailure calls fn after each failure that otherwise only the log reports.
func (b *Bridge) OnFailure(fn func(Failure)) (off func()) { return b.Observe(Observer{Failure: fn}) }

// Observer has a function for each kind of event; nil for a kind that isn't wanted. Missed is
// called in the place of events that were dropped because the Observer was too far behind.
type Observer struct {
	SessionSet         func(SessionSet)
	SessionDestroy     func(SessionDestroy)
	Cleanup            func(Cleanup)
	ConnOpen           func(ConnOpen)
	ConnClose          func(ConnClose)
	Failure            func(Failure)
	CredentialRejected func(CredentialRejected)
	Presence           func(Presence) // see OnPresence
	Missed             func(Missed)
}

// Observe calls the functions of o with the events of their kinds, until off is called. They have
// one queue and one goroutine: only one of them runs at a time, perhaps after the response has been
// sent, so data that only they use needs no lock, and events of different kinds come in order:
//
//   - The SessionSet and SessionDestroy of one session come in the order of its commits, the end
//     last. A session whose beginning this process has seen doesn't end before it.
//   - The ConnOpen of a connection comes before its ConnClose, and after the SessionSet with which
//     its session began. The SessionDestroy of a session comes before the ConnClose of the
//     connections that it closes; a connection whose handshake was under way then may open after
//     it.
//
// Events of different sessions come in any order. The functions may call the Bridge. One that
// blocks or panics affects only o: a panic is logged, and the next event is delivered. When o is
// 1024 events behind it misses some, which Stats counts, and Missed marks the place.
// CredentialRejected takes a quarter of the queue at most. A function that is running when off is
// called runs to its end.
//
// In a cluster each node reports its own changes, and with ViaNode those of other nodes, as far as
// it is notified: see docs/nodes.md.
func (b *Bridge) Observe(o Observer) (off func()) {
	forget := b.events.Observe(
		func(ev Event) bool { return ev.deliver(&o, false) },
		eventQueue,
		func(ev Event) { ev.deliver(&o, true) },
	)
	if o.Presence == nil {
		return forget
	}
	end := b.presence.Observe()
	return func() {
		end()
		forget()
	}
}

func (e SessionSet) deliver(o *Observer, call bool) bool { return deliver(o.SessionSet, e, call) }
func (e SessionDestroy) deliver(o *Observer, call bool) bool {
	return deliver(o.SessionDestroy, e, call)
}
func (e Cleanup) deliver(o *Observer, call bool) bool   { return deliver(o.Cleanup, e, call) }
func (e ConnOpen) deliver(o *Observer, call bool) bool  { return deliver(o.ConnOpen, e, call) }
func (e ConnClose) deliver(o *Observer, call bool) bool { return deliver(o.ConnClose, e, call) }
func (e Failure) deliver(o *Observer, call bool) bool   { return deliver(o.Failure, e, call) }
func (e CredentialRejected) deliver(o *Observer, call bool) bool {
	return deliver(o.CredentialRejected, e, call)
}
func (e Missed) deliver(o *Observer, call bool) bool { return deliver(o.Missed, e, call) }

// deliver reports whether there is a function, and calls it with the event if call is true.
func deliver[E Event](fn func(E), e E, call bool) (wanted bool) {
	if fn != nil && call {
		fn(e)
	}
	return fn != nil
}

// Subscribe returns a channel of all events from now on but Presence, in the same order as for Observe.
// The channel is closed when ctx ends or the Bridge is shut down. Events that don't fit into the buffer
// are dropped and counted in Stats; the next one that fits follows a Missed. A buffer below 1 is 1.
func (b *Bridge) Subscribe(ctx context.Context, buffer int) <-chan Event {
	wanted := func(ev Event) bool {
		_, presence := ev.(Presence)
		return !presence
	}
	events, off := b.events.Subscribe(wanted, max(1, buffer))
	context.AfterFunc(ctx, off)
	return events
}
