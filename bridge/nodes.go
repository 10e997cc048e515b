package bridge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// join makes the Bridge a node if the store supports nodes, and returns the store to use.
func (b *Bridge) join(st store.Store) store.Store {
	w, ok := st.(store.Watcher)
	if !ok {
		return st
	}
	b.cluster = cluster.Join(w, cluster.Config{
		StoreTimeout: b.opts.StoreTimeout,
		Workers:      b.work,
		Clock:        b.clock,
		Changed:      b.changedElsewhere,
		Asked:        b.answerNode,
		Subscribed:   b.subscribed,
		Resync:       b.resync,
		Suspect:      func(since time.Time) { b.links.SuspectAll(since) },
		GiveUp: func() {
			for _, l := range b.links.All() {
				l.end(unavailable.Code, unavailable.Reason)
			}
		},
		Used:   b.clients.ReadsOfClient,
		Failed: b.storeFailed,
	})
	return b.cluster.Store()
}

// subscribe returns when this node is sure to be notified of changes of the session, "" for none,
// and of the client.
func (b *Bridge) subscribe(ctx context.Context, sessionID, clientID string) error {
	if err := b.cluster.Subscribe(ctx, sessionID, clientID); err != nil {
		return gateway.Unavailable(ctx, "hold the session", err)
	}
	return nil
}

// subscribed rechecks the session or the client, which may have changed before the subscription.
func (b *Bridge) subscribed(t cluster.Topic) {
	switch {
	case t.ClientID != "":
		b.pools.background.Go(func() { b.checkClient(t.ClientID, true) })
	case b.links.HasSession(t.SessionID):
		b.pools.background.Go(func() { b.recheckSession(t.SessionID) })
	}
}

// changedElsewhere follows a change by another node. It must not block.
func (b *Bridge) changedElsewhere(ch store.Change) {
	switch ch.Kind {
	case store.ChangeStored:
		if b.events.Active() {
			b.clients.WhileAttached(ch.ID, func(clientID, userID string) {
				b.events.Emit(SessionSet{ClientID: clientID, SessionID: ch.ID, UserID: userID, Via: ViaNode})
			})
		}
	case store.ChangeAccess:
		if b.knows(ch.ID) {
			b.pools.background.Go(func() { b.accessChanged(ch.ID) })
		}
	case store.ChangeEnded:
		if b.knows(ch.ID) {
			b.pools.remoteEnds.Go(func() { b.endedElsewhere(ch.ID, reasonOf(ch.Reason)) })
		}
	case store.ChangeClient:
		b.pools.background.Go(func() { b.followAnnounced(ch.ClientID, ch.ID) })
	}
}

// reasonOf returns the reason that another node, perhaps of another version, has reported.
func reasonOf(reported string) Reason {
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
		return string(from.reason)
	}
	return string(ReasonExpired)
}

// accessChanged rechecks a session that another node has stored with another token or user, or an
// earlier end.
func (b *Bridge) accessChanged(id string) {
	if b.events.Active() {
		_ = b.gateway.Report(context.Background(), id, func(now *store.Record) { // the recheck reports the error
			b.learn(now)
			b.reportElsewhere(now, true)
		})
	}
	b.recheckSession(id)
}

// endedElsewhere follows the end of a session on another node, after the changes that this node is
// storing.
func (b *Bridge) endedElsewhere(id string, reason Reason) {
	b.gateway.InOrder(id, func(later *gateway.Later) {
		if b.knows(id) {
			b.removeSession(gateway.End{ID: id, Later: later}, &origin{via: ViaNode, reason: reason})
		}
	})
}

// followAnnounced follows the announcement by another node of a login, a client's new session, or a
// session's end, as rebind and ended do for those of this node.
func (b *Bridge) followAnnounced(clientID, id string) {
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case errors.Is(err, ErrSessionMissing):
		if !b.links.HasSession(id) { // otherwise the store reports the end with its reason
			b.endedElsewhere(id, ReasonDestroyed)
		}
	case err == nil && rec.ClientID == clientID:
		err = b.followNewest(&rec)
	}
	b.followFailed("follow a client's login on another node", id, err)
}

// checkClient follows a session that the client has got on another node. With recheck it also
// rechecks the session that the client had in this process.
func (b *Bridge) checkClient(clientID string, recheck bool) {
	if b.hopeless() {
		return
	}
	known, attached := b.clients.SessionOf(clientID)
	rec, err := b.gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && rec.ID == known {
		return
	}
	if recheck && attached {
		b.recheckSession(known)
	}
	if err == nil {
		err = b.followNewest(&rec)
	}
	b.followFailed("find a client's newest session", known, err)
}

// followFailed reports err, unless it is nil or the session has ended.
func (b *Bridge) followFailed(doing, id string, err error) {
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), doing, id, err)
	}
}

// findNewer follows a session that the client has got on another node since then, before this node
// was subscribed to the client.
func (b *Bridge) findNewer(clientID string, since time.Time) error {
	if b.cluster == nil {
		return nil
	}
	rec, err := b.gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && !rec.Began().Before(since.Truncate(time.Millisecond)) { // the precision of records
		err = b.followNewest(&rec)
	}
	if errors.Is(err, ErrSessionMissing) {
		return nil
	}
	return err
}

// followNewest attaches the client and its connections to the session, unless the client has a
// newer one by now.
func (b *Bridge) followNewest(rec *store.Record) error {
	if known, ok := b.clients.SessionOf(rec.ClientID); ok && known != rec.ID {
		other, err := b.gateway.Load(context.Background(), known)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		if err == nil && other.Began().After(rec.Began()) {
			return nil
		}
	}
	return b.gateway.Report(context.Background(), rec.ID, func(now *store.Record) {
		isInit := b.mapClient(now, true)
		b.rebind(&origin{via: ViaNode}, now)
		b.learn(now)
		if isInit {
			b.emitSet(now, SessionSet{IsInit: true, Via: ViaNode})
		} else {
			b.reportElsewhere(now, false)
		}
	})
}

// reportElsewhere records the user of a session that another process has stored. It reports a
// login; with accessed, also a change without one. The session's commit lock is held.
func (b *Bridge) reportElsewhere(now *store.Record, accessed bool) {
	prev, login := b.clients.SetLogin(now.ID, now.UserID, now.LoginGeneration)
	if (login || accessed) && b.clients.Attached(now.ID) {
		b.emitSet(now, SessionSet{PrevUserID: prev, Login: login, Rotated: true, Via: ViaNode})
	}
}

// resync rechecks every session that this process knows, because notifications may have been
// missed: sessions with connections first, 32 at once.
func (b *Bridge) resync(superseded func() bool) {
	sessions := b.clients.Len()
	b.logAside(func() {
		b.opts.Logger.Info("notifications from other nodes may have been missed: every session is checked",
			slog.Int("sessions", sessions))
	})
	checks := b.work.Limited(32)
	defer checks.Wait()
	connected := b.links.Sessions()
	for id := range connected {
		checks.Go(func() { b.recheckSession(id) })
	}
	for _, id := range b.links.Clients() {
		checks.Go(func() { b.checkClient(id, false) })
	}
	checks.Wait()
	for _, id := range b.clients.Sessions() {
		if superseded() {
			return
		}
		if _, done := connected[id]; !done {
			checks.Go(func() { b.recheckSession(id) })
		}
	}
}
