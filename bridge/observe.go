package bridge

// Observer is what Observe calls, by kinds of events. A nil function is a kind that isn't wanted.
type Observer struct {
	SessionSet         func(SessionSet)
	SessionDestroy     func(SessionDestroy)
	Cleanup            func(Cleanup)
	ConnOpen           func(ConnOpen)
	ConnClose          func(ConnClose)
	Failure            func(Failure)
	CredentialRejected func(CredentialRejected)

	// Missed is called in the place of events that the Observer has missed, because it was too far behind.
	Missed func(Missed)
}

// Observe calls the functions of o with the events of their kinds, until off is called. They have one queue and one goroutine: only one of them runs at a time, so
// what they share needs no lock, and events of different kinds come in their order, too:
//
//   - The SessionSet and SessionDestroy of one session come in the order of its commits, the end last. A session that this process has seen begin
//     doesn't end before it.
//   - The ConnOpen of a connection comes before its ConnClose, and after the SessionSet with which its session began. The SessionDestroy of a session comes before the
//     ConnClose of the connections that it closes; a connection whose handshake was under way then may even open after it.
//
// Events of different sessions come in any order. The functions may call the Bridge. One that blocks or panics hurts nobody but o: a panic is logged, and the next event
// comes all the same; 1024 events behind, o misses some, which Stats counts, and Missed says where. CredentialRejected, which strangers can cause
// without end, takes a quarter of the queue at most. A function that is running when off is called runs to its end.
//
// In a cluster each node tells of what it does itself, and with ViaNode of what it hears of others: see docs/nodes.md.
func (b *Bridge) Observe(o Observer) (off func()) {
	return b.events.Observe(o.wants, eventQueue, o.call)
}

func (o *Observer) wants(ev Event) bool {
	switch ev.(type) {
	case SessionSet:
		return o.SessionSet != nil
	case SessionDestroy:
		return o.SessionDestroy != nil
	case Cleanup:
		return o.Cleanup != nil
	case ConnOpen:
		return o.ConnOpen != nil
	case ConnClose:
		return o.ConnClose != nil
	case Failure:
		return o.Failure != nil
	case CredentialRejected:
		return o.CredentialRejected != nil
	case Missed:
		return o.Missed != nil
	}
	return false
}

// call needs an event that o wants.
func (o *Observer) call(ev Event) {
	switch ev := ev.(type) {
	case SessionSet:
		o.SessionSet(ev)
	case SessionDestroy:
		o.SessionDestroy(ev)
	case Cleanup:
		o.Cleanup(ev)
	case ConnOpen:
		o.ConnOpen(ev)
	case ConnClose:
		o.ConnClose(ev)
	case Failure:
		o.Failure(ev)
	case CredentialRejected:
		o.CredentialRejected(ev)
	case Missed:
		o.Missed(ev)
	}
}
