package bridge

import (
	"context"
)

// Stats is what a Bridge has counted since it was made, unless it says now.
type Stats struct {
	Conns    int  // open now: connections and links
	Attached int  // sessions that this process has seen in use, now
	Healthy  bool // this node and the others on the store hear each other, now; true without others

	Writes         uint64 // sessions stored
	Touches        uint64 // activity recorded, without a change
	Conflicts      uint64 // writes that found the session changed by another
	Reruns         uint64 // functions of WithSession that ran again because of one
	Expired        uint64 // sessions that time ended
	StoreErrors    uint64 // calls to the store that failed
	FailedCommits  uint64 // responses replaced or aborted because the store or the program failed
	RefusedCommits uint64 // likewise, but caused by the client: 401, 403, 409, 413, or it hung up
	Refused        uint64 // session cookies, tokens and tickets that opened nothing: unknown session, stale token
	Mismatches     uint64 // sessions that came with another client's cookie
	ClosedWrites   uint64 // changes of a Session after its last commit, which are lost
	SaveFailures   uint64 // sessions of PerConnection that could not be stored when they were to be
	Overloaded     uint64 // handshakes that were refused by Options.MaxHandshakes and HandshakesPerSecond
	TooFast        uint64 // connections that were closed by ConnOptions.MessagesPerSecond
	EventsDropped  uint64 // events that a subscriber had no room for
	NotifyDropped  uint64 // messages of Notify that a connection had no room for

	RejectionsDropped uint64 // CredentialRejected events, likewise: any client can cause these
}

// Stats returns the counts now.
func (b *Bridge) Stats() Stats {
	g := b.gateway.Stats()
	return Stats{
		Conns:          b.links.Count(),
		Attached:       b.clients.Len(),
		Healthy:        b.cluster.Healthy(),
		Writes:         g.Writes,
		Touches:        g.Touches,
		Conflicts:      g.Conflicts,
		Reruns:         b.stats.reruns.Load(),
		Expired:        g.Expired,
		StoreErrors:    g.StoreErrors,
		FailedCommits:  b.stats.failedCommits.Load(),
		RefusedCommits: b.stats.refusedCommits.Load(),
		Refused:        b.stats.refused.Load(),
		Mismatches:     b.stats.mismatches.Load(),
		ClosedWrites:   b.stats.closedWrites.Load(),
		SaveFailures:   b.stats.failedSaves.Load(),
		Overloaded:     b.admit.Refused(),
		TooFast:        b.stats.tooFast.Load(),
		EventsDropped:  b.events.Dropped(),
		NotifyDropped:  b.stats.notifyDropped.Load(),

		RejectionsDropped: b.events.DroppedConfined(),
	}
}

// Ping returns nil when the store answers, as far as it can be asked. ErrStoreUnavailable, and the
// cause of ctx's end.
func (b *Bridge) Ping(ctx context.Context) error { return b.gateway.Ping(ctx) }
