package bridge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/admission"
	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/nodecalls"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/periodic"
	"github.com/sessionbridge/sessionbridge/internal/presence"
	"github.com/sessionbridge/sessionbridge/internal/pubsub"
	"github.com/sessionbridge/sessionbridge/internal/reclaiming"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Bridge shares sessions between HTTP handlers and WebSocket connections. Make one for each store
// and cookie name with New, and end it with Shutdown. It is safe for concurrent use.
//
// docs/architecture.md has the order of the locks.
type Bridge struct {
	opts     *settings
	gateway  *gateway.Gateway
	opener   *opening.Opener
	devices  *devicebound.Devices // nil without Options.DeviceBound
	clients  *clientmap.Map
	ends     *ends.Log // the reasons of ends
	links    *registry.Registry[*Link]
	tracker  *tracking.Tracker[*Link]
	clock    *clock.Clock
	sockets  *socket.Runtime
	work     *workers.Group
	pools    pools
	sender   *outbox.Sender
	events   *pubsub.Hub[Event]
	report   *reporting.Reporter
	stats    counters
	shutting atomic.Bool   // Shutdown has been called
	shutDone chan struct{} // closed when the first Shutdown has returned shutErr
	shutErr  error
	timeouts atomic.Pointer[timeouts] // of sessions that begin from now on
	records  forwarded.Recording      // what is recorded of clients

	overrule atomic.Bool // setCookies has logged a line that it logs once

	logins   *logins.Gate
	limits   *logins.Limits
	tickets  *tickets.Tickets
	imports  *imports.Claims   // nil without Options.Import
	reclaim  *reclaiming.Watch // nil: off
	admit    *admission.Gate
	rates    rateLimits
	activity *activity.Activity
	cluster  *cluster.Node // nil: the store knows of no other processes
	calls    *nodecalls.Calls[ConnInfo, NodeInfo]
	presence *presence.Tracker
	gorilla  *gorillastore.Store

	keeper   store.Keeper // nil: the store has nodes and keeps no messages
	keptHere *kept.Memory // the keeper, if it is none of the store
	kept     *kept.Hub

	cleanup *periodic.Task // see StartAutoCleanup
}

// timeouts are those of new sessions.
type timeouts struct{ idle, lifetime time.Duration }

// pools run the Bridge's own tasks. Each kind has a pool of its own, so that tasks that hang delay
// no other kind: a close that the peer doesn't answer takes a second, and a store may take as long
// as Options.StoreTimeout. A task costs some kilobytes while it waits.
type pools struct {
	background *workers.Pool // lookups in the store, cleanups, saves
	closes     *workers.Pool // of connections
	remoteEnds *workers.Pool // ends of sessions that other nodes have reported
	activity   *workers.Pool // to be recorded in the store
}

type counters struct {
	mismatches, refused, reruns, failedCommits, refusedCommits, closedWrites, notifyDropped,
	failedSaves, tooFast, tooSlow, tooLarge, tooManyConns atomic.Uint64
}

// Format implements fmt.Formatter: it prints no field, as they contain keys and values.
func (b *Bridge) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "bridge.Bridge") }

// Stats is what a Bridge has counted since it was made, except for the fields that say now.
type Stats struct {
	Conns    int  // open now: connections and links
	Users    int  // with a connection to this process, now
	Attached int  // sessions that this process has seen in use, now
	Healthy  bool // this node and the others on the store hear each other, now; true without others

	Writes         uint64 // sessions stored
	Touches        uint64 // activity recorded, without a change
	Conflicts      uint64 // writes that found the session changed by another
	Reruns         uint64 // functions of WithSession that ran again because of one
	Expired        uint64 // sessions that time ended
	StoreErrors    uint64 // calls to the store that failed
	FailedCommits  uint64 // responses replaced or aborted because the store or the program failed
	RefusedCommits uint64 // likewise, but caused by the client: 401 to 422, or it hung up; refused saves (PerConnection)
	Refused        uint64 // session cookies, tokens and tickets that opened nothing: unknown session, stale token
	Mismatches     uint64 // sessions that came with another client's cookie
	ClosedWrites   uint64 // changes of a Session after its last commit, which are lost
	SaveFailures   uint64 // sessions of PerConnection that could not be stored when they were to be
	Overloaded     uint64 // handshakes that were refused by Options.MaxHandshakes and HandshakesPerSecond
	RateLimited    uint64 // handshakes and new sessions that a Rate of Options has refused
	TooManyConns   uint64 // connections that MaxConnsPerSession or MaxConnsPerAddr has refused
	TooFast        uint64 // connections closed by MessagesPerSecond, FramesPerSecond, MessagesPerSession, MessagesPerAddr
	TooSlow        uint64 // connections closed by ConnOptions.FirstMessageTimeout
	TooLarge       uint64 // connections closed by ConnOptions.MaxMessageBytes
	EventsDropped  uint64 // events that a subscriber had no room for
	NotifyDropped  uint64 // messages of Notify that a connection had no room for

	RejectionsDropped uint64 // CredentialRejected events that a subscriber had no room for
}

// Stats returns the counts now.
func (b *Bridge) Stats() Stats {
	g := b.gateway.Stats()
	return Stats{
		Conns:             b.links.Count(),
		Users:             b.links.CountUsers(),
		Attached:          b.clients.Len(),
		Healthy:           b.cluster.Healthy(),
		Writes:            g.Writes,
		Touches:           g.Touches,
		Conflicts:         g.Conflicts,
		Reruns:            b.stats.reruns.Load(),
		Expired:           g.Expired,
		StoreErrors:       g.StoreErrors,
		FailedCommits:     b.stats.failedCommits.Load(),
		RefusedCommits:    b.stats.refusedCommits.Load(),
		Refused:           b.stats.refused.Load(),
		Mismatches:        b.stats.mismatches.Load(),
		ClosedWrites:      b.stats.closedWrites.Load(),
		SaveFailures:      b.stats.failedSaves.Load(),
		Overloaded:        b.admit.Refused(),
		RateLimited:       b.rates.refused(),
		TooManyConns:      b.stats.tooManyConns.Load(),
		TooFast:           b.stats.tooFast.Load(),
		TooSlow:           b.stats.tooSlow.Load(),
		TooLarge:          b.stats.tooLarge.Load(),
		EventsDropped:     b.events.Dropped(),
		NotifyDropped:     b.stats.notifyDropped.Load(),
		RejectionsDropped: b.events.DroppedConfined(),
	}
}

// Ping returns nil if the store answers, and for a store that is no store.Pinger.
// ErrStoreUnavailable, and the cause of ctx's end.
func (b *Bridge) Ping(ctx context.Context) error { return b.gateway.Ping(ctx) }

// committed follows a change that was stored: it updates the map of clients, parts connections from
// the session, and reports the change. The session's commit lock is held.
func (b *Bridge) committed(c gateway.Commit) {
	from, rec := c.Tag.(*origin), c.Record
	isInit, parted := b.tracker.Committed(&c, from.clientIsNew)
	if from.request != nil { // they are closed when the response with the new cookies has been sent
		for _, l := range parted {
			from.request.afterResponse(func() {
				b.clock.Add(time.Now().Add(tracking.RebindDelay), func() { l.endPending(false) })
			})
		}
	}
	if c.IsNew || c.Rotated {
		c.Later.Add(b.report.Commit(&c, from.addr(), string(from.via)))
	}
	if c.Watched && b.events.Active() {
		b.events.Emit(SessionSet{
			ClientID: rec.ClientID, SessionID: rec.ID, UserID: rec.UserID, PrevUserID: c.PrevUserID,
			IsNew: c.IsNew, IsInit: isInit, Login: c.Login, Rotated: c.Rotated, Keys: c.Keys, Via: from.via,
		})
	}
}

// rejectReasons maps the reasons of package opening.
var rejectReasons = [...]RejectReason{
	opening.NoSession:     RejectedSession,
	opening.OtherToken:    RejectedToken,
	opening.ForeignClient: RejectedClient,
	opening.OtherDevice:   RejectedDevice,

	opening.Expired:         RejectedSession,
	opening.ReplacedByLogin: RejectedToken,
}

// rejected completes a CredentialRejected from r, counts, logs and emits it, and returns its reason.
func (b *Bridge) rejected(ctx context.Context, cr CredentialRejected, r opening.Rejection) RejectReason {
	cr.Reason = cmp.Or(cr.Reason, rejectReasons[r.Reason])
	cr.SessionID, cr.UserID = r.SessionID, r.UserID
	b.stats.refused.Add(1)
	b.report.AuditRefusal(ctx, slog.LevelInfo, "credential refused", string(cr.Reason), reporting.Subject{
		SessionID: cr.SessionID, ClientID: cr.ClientID, UserID: cr.UserID, Addr: cr.Addr, Via: string(cr.Via),
	}, slog.String("credential", string(cr.Credential)), slog.String("reason", string(cr.Reason)))
	if b.events.Active() {
		b.events.Emit(cr)
	}
	return cr.Reason
}

// ended follows the end of a session. The session's commit lock is held.
func (b *Bridge) ended(e gateway.End) {
	if e.Found {
		b.reclaim.Ended()
	}
	if !e.Found && !b.tracker.Knows(e.ID) {
		return // its end has been reported, if this process knew it
	}
	from, ok := e.Tag.(*origin)
	if !ok {
		from = &origin{via: ViaTime, end: &end{reason: ReasonExpired}}
	}
	if e.Found && from.end.reason != ReasonExpired { // an expired session has ended before this
		b.opener.Ended(e.ID)
	}
	if !from.end.assumed {
		b.ends.Add(e.ID, string(from.end.reason))
	}
	b.removeSession(e, from)
	if e.Found && ok && e.ClientID != "" { // other nodes notice an expiry by themselves
		b.cluster.Announce(e.ClientID, e.ID)
	}
}

// rememberedEnds is how many ends of sessions are remembered for MissingReason: about 3 MB.
const rememberedEnds = 16_384

// missingReason returns the reason for which the session has ended, as far as this process knows.
func (b *Bridge) missingReason(sessionID string) MissingReason {
	if end, ok := b.ends.Find(sessionID); ok {
		return Reason(end.Reason).missing()
	}
	return MissingUnknown
}

// reasonOf returns why a credential whose signature holds opens no session; "" if it does. o is the
// result of opening it.
func (b *Bridge) reasonOf(o *opening.Opened) MissingReason {
	switch {
	case o.Standing == opening.Replaced:
		return MissingReplaced
	case o.Standing != opening.None:
		return ""
	}
	switch o.Rejection.Reason {
	case opening.Expired:
		return MissingExpired
	case opening.ReplacedByLogin:
		return MissingReplaced
	case opening.OtherDevice:
		return MissingDevice
	case opening.NoSession:
		return b.missingReason(o.Rejection.SessionID)
	case opening.OtherToken, opening.ForeignClient, opening.NotRejected:
	}
	return MissingRefused
}

// removeSession removes a session that has ended from the map of clients, closes its connections,
// and reports the end. The log line is added to e.Later. Of e only ID and Later must be set.
func (b *Bridge) removeSession(e gateway.End, from *origin) {
	if b.keptHere != nil {
		b.keptHere.End(e.ID)
	}
	reason := from.end.reason
	userID := cmp.Or(e.UserID, b.clients.UserOf(e.ID), from.end.userID, b.links.UserOf(e.ID))
	clientID := cmp.Or(b.clients.Detach(e.ID), e.ClientID)
	c := registry.Close{Code: reason.closeCode(), Reason: string(reason)}
	pending, keep := c, b.opts.OnSessionEnd == KeepConns
	if keep {
		pending = registry.Close{}
	}
	links := b.links.PartSession(e.ID, pending)
	about := reporting.Subject{
		SessionID: e.ID, ClientID: clientID, UserID: userID, Addr: from.addr(), Via: string(from.via),
	}
	e.Later.Add(func() { b.report.End(about, string(reason)) })
	ev := SessionDestroy{ClientID: clientID, SessionID: e.ID, UserID: userID, Reason: reason, Via: from.via}
	if b.events.Active() { // before the events of the connections that it closes
		b.events.Emit(ev)
	}
	if keep { // except connections of PerConnection, which can't go on without their session
		links = slices.DeleteFunc(links, func(l *Link) bool { return l.perConn.Load() == nil })
	}
	final := b.finalMessage(links, ev)
	for _, l := range links {
		l.setFinalMessage(final)
		if l == from.link { // its handler still has to answer the message that ended the session
			l.endLater(c, true, closeGrace)
		} else {
			l.end(c.Code, c.Reason)
		}
	}
}
