package tracking

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Subscribed rechecks the session or the client, which may have changed before the subscription.
func (t *Tracker[L]) Subscribed(topic cluster.Topic) {
	switch {
	case topic.ClientID != "":
		t.cfg.Background.Go(func() { t.checkClient(topic.ClientID, true) })
	case t.cfg.Links.HasSession(topic.SessionID):
		t.RecheckSoon(topic.SessionID)
	}
}

// ChangedElsewhere follows a change by another node. It doesn't block.
func (t *Tracker[L]) ChangedElsewhere(ch store.Change) {
	switch ch.Kind {
	case store.ChangeStored:
		if t.cfg.Watched() {
			t.cfg.Clients.WhileAttached(ch.ID, func(clientID, userID string) {
				t.cfg.Stored(Stored{ClientID: clientID, SessionID: ch.ID, UserID: userID})
			})
		}
	case store.ChangeAccess:
		if t.Knows(ch.ID) {
			t.cfg.Background.Go(func() { t.accessChanged(ch.ID) })
		}
	case store.ChangeEnded:
		reason := t.cfg.Reason(ch.Reason)
		t.cfg.Ends.Add(ch.ID, reason)
		if t.Knows(ch.ID) {
			t.cfg.RemoteEnds.Go(func() { t.endedElsewhere(ch.ID, reason) })
		}
	case store.ChangeClient:
		t.cfg.Background.Go(func() { t.followAnnounced(ch.ClientID, ch.ID) })
	}
}

// accessChanged rechecks a session that another node has stored with another token or user, or an
// earlier end.
func (t *Tracker[L]) accessChanged(id string) {
	if t.cfg.Watched() {
		_ = t.cfg.Gateway.Report(context.Background(), id, func(now *store.Record) { // the recheck reports the error
			t.Learn(now)
			t.reportElsewhere(now, true)
		})
	}
	t.Recheck(id)
}

// endedElsewhere follows the end of a session on another node, after the changes that this node is
// storing.
func (t *Tracker[L]) endedElsewhere(id, reason string) {
	t.cfg.Gateway.InOrder(id, func(later *gateway.Later) {
		if t.Knows(id) {
			t.cfg.Ended(gateway.End{ID: id, Later: later}, reason)
		}
	})
}

// followAnnounced follows the announcement by another node of a login, a client's new session, or a
// session's end.
func (t *Tracker[L]) followAnnounced(clientID, id string) {
	rec, err := t.cfg.Gateway.Load(context.Background(), id)
	switch {
	case errors.Is(err, gateway.ErrMissing):
		if !t.cfg.Links.HasSession(id) { // otherwise the store reports the end with its reason
			t.endedElsewhere(id, t.cfg.Reason(""))
		}
	case err == nil && rec.ClientID == clientID:
		err = t.followNewest(&rec)
	}
	t.failed("follow a client's login on another node", id, err)
}

// checkClient follows a session that the client has got on another node. With recheck it also
// rechecks the session that the client had in this process.
func (t *Tracker[L]) checkClient(clientID string, recheck bool) {
	if t.hopeless() {
		return
	}
	known, attached := t.cfg.Clients.SessionOf(clientID)
	rec, err := t.cfg.Gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && rec.ID == known {
		return
	}
	if recheck && attached {
		t.Recheck(known)
	}
	if err == nil {
		err = t.followNewest(&rec)
	}
	t.failed("find a client's newest session", known, err)
}

// failed reports err, unless it is nil or the session has ended.
func (t *Tracker[L]) failed(doing, id string, err error) {
	if err != nil && !errors.Is(err, gateway.ErrMissing) {
		t.cfg.Report.StoreFailed(context.Background(), doing, id, err)
	}
}

// Resync rechecks every session that this process knows, because notifications may have been
// missed: sessions with connections first, 32 at once. It may stop early if superseded returns
// true.
func (t *Tracker[L]) Resync(superseded func() bool) {
	t.cfg.Report.Aside(context.Background(), slog.LevelInfo,
		"notifications from other nodes may have been missed: every session is checked",
		slog.Int("sessions", t.cfg.Clients.Len()))
	checks := t.cfg.Work.Limited(32)
	defer checks.Wait()
	connected := t.cfg.Links.Sessions()
	for id := range connected {
		checks.Go(func() { t.Recheck(id) })
	}
	for _, id := range t.cfg.Links.Clients() {
		checks.Go(func() { t.checkClient(id, false) })
	}
	checks.Wait()
	for _, id := range t.cfg.Clients.Sessions() {
		if superseded() {
			return
		}
		if _, done := connected[id]; !done {
			checks.Go(func() { t.Recheck(id) })
		}
	}
}
