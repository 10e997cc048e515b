package bridge

import (
	"cmp"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
	"github.com/sessionbridge/sessionbridge/store"
)

// newRegistry returns the registry of the open connections.
func (b *Bridge) newRegistry() *registry.Registry[*Link] {
	return registry.New(registry.Config[*Link]{
		Entry:   func(l *Link) *registry.Entry { return &l.entry },
		Ended:   func(l *Link) bool { return l.ctx.Err() != nil },
		Context: (*Link).Context,
		Watch:   (*Link).watch,
		Yield:   (*Link).yieldID,
		Clock:   b.clock,
		Limits:  b.opts.connLimits(),

		Look:            func(id string) { b.tracker.RecheckSoon(id) },
		RevalidateEvery: zeroIfOff(b.opts.RevalidateEvery),
		Device:          b.devices.Deadline,
		Hold:            func(id string) { b.cluster.Retain(cluster.Topic{SessionID: id}) },
		Drop:            func(id string) { b.cluster.Release(cluster.Topic{SessionID: id}) },
		Online:          b.presence.Changed,
		Reconnect:       tracking.Reconnect,
		Replaced:        registry.Close{Code: CodePolicy, Reason: errorcodes.ReasonReplaced},
		TooMany:         tracking.TooMany,
	})
}

// newTracker returns what keeps the map of clients and the registry in step with the store and with
// other nodes.
func (b *Bridge) newTracker() *tracking.Tracker[*Link] {
	return tracking.New(tracking.Config[*Link]{
		Gateway: b.gateway, Clients: b.clients, Links: b.links, Node: b.cluster, Devices: b.devices,
		Ends: b.ends, Report: b.report, Work: b.work,
		Background: b.pools.background, RemoteEnds: b.pools.remoteEnds,
		Follow: b.opts.Rebind == Follow, KeepConns: b.opts.OnSessionEnd == KeepConns,
		Watched: b.events.Active,
		Stored: func(s tracking.Stored) {
			b.events.Emit(SessionSet{
				ClientID: s.ClientID, SessionID: s.SessionID, UserID: s.UserID, PrevUserID: s.PrevUserID,
				IsNew: s.IsNew, IsInit: s.IsInit, Login: s.Login, Rotated: s.Rotated, Via: cmp.Or(Via(s.Via), ViaNode),
			})
		},
		Ended: func(e gateway.End, reason string) {
			b.removeSession(e, &origin{via: ViaNode, end: &end{reason: Reason(reason)}})
		},
		Tag: func(l *Link) any {
			return &origin{via: ViaStore, end: &end{reason: ReasonDestroyed, assumed: true}, link: l}
		},
		Reason:    func(reported string) string { return string(reasonReported(reported)) },
		CloseCode: func(reason string) int { return Reason(reason).closeCode() },
		Entry:     func(l *Link) *registry.Entry { return &l.entry },
		Close:     func(l *Link, c registry.Close) { l.end(c.Code, c.Reason) },
		Postpone:  (*Link).endLater,
		Lost:      func(l *Link) { l.missing = MissingUnknown }, // unless the end is known
		Abandon: func(l *Link, err error) {
			if err != nil {
				l.beginEnd(CloseCode(err), "") // the code that the caller uses
			}
			l.abandon()
		},
		Limits: b.opts.connLimits(),
	})
}

// reasonReported returns the reason that another node, perhaps of another version, has reported.
func reasonReported(reported string) Reason {
	switch r := Reason(reported); r {
	case ReasonLogout, ReasonExpired, ReasonEvicted:
		return r
	case store.ReasonSwept:
		return ReasonExpired
	}
	return ReasonDestroyed
}

// reportedReason returns the reason for other nodes of an end with the tag.
func reportedReason(tag any) string {
	if from, ok := tag.(*origin); ok {
		return string(from.end.reason)
	}
	return string(ReasonExpired)
}
