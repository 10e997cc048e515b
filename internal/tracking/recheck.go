package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// hopeless reports whether a call to the store is useless: the store doesn't answer, and the
// process is shutting down.
func (t *Tracker[L]) hopeless() bool { return t.cfg.Work.Stopped() && t.cfg.Node.Frozen() }

// Recheck loads a session with connections, and cuts off those that no longer have access. The load
// ends an expired session; otherwise its deadline is updated.
func (t *Tracker[L]) Recheck(id string) {
	if t.hopeless() {
		return
	}
	rec, err := t.cfg.Gateway.Load(context.Background(), id)
	switch {
	case err == nil:
		t.endUnproved(&rec)
		t.Learn(&rec)
		t.cfg.Clients.SetDue(id, rec.Expires)
		t.noticeLogin(context.Background(), &rec)
	case errors.Is(err, gateway.ErrMissing):
		var none L
		t.Missing(context.Background(), id, none)
	default:
		t.retry(id, err)
	}
}

// RecheckSoon is Recheck in the background.
func (t *Tracker[L]) RecheckSoon(id string) { t.cfg.Background.Go(func() { t.Recheck(id) }) }

// Doubt rechecks a session that may have ended, in the background. If the store doesn't answer in
// time, the session's connections are closed.
func (t *Tracker[L]) Doubt(id string) {
	t.cfg.Links.Suspect(id, time.Now())
	t.RecheckSoon(id)
}

// Missing ends a session in this process that was not found in the store, as l has noticed, which
// may be the zero L. It has no effect on a session that is stored. If the store can't tell, another
// check is planned, as for Doubt.
func (t *Tracker[L]) Missing(ctx context.Context, id string, l L) {
	if !t.Knows(id) {
		return
	}
	if _, err := t.cfg.Gateway.Forget(ctx, id, t.cfg.Tag(l)); err != nil {
		t.cfg.Links.Suspect(id, time.Now())
		t.retry(id, err)
	}
}

// retry plans another check of a session. Without a suspicion its connections stay until the expiry.
func (t *Tracker[L]) retry(id string, err error) {
	t.cfg.Report.StoreFailed(context.Background(), "find out whether a session is alive", id, err)
	for _, l := range t.cfg.Links.Retry(id) {
		t.cfg.Close(l, unavailable)
	}
}

// GiveUp closes every connection, because the store has not answered for too long.
func (t *Tracker[L]) GiveUp() {
	for _, l := range t.cfg.Links.All() {
		t.cfg.Close(l, unavailable)
	}
}

// Prune rechecks the sessions that have expired before that time, so that the map of clients
// forgets those whose end was not notified.
func (t *Tracker[L]) Prune(before time.Time) {
	for _, id := range t.cfg.Clients.Due(before) {
		t.Recheck(id)
	}
}

// RecordActivity records in the store that the session's connections are in use.
func (t *Tracker[L]) RecordActivity(id string) {
	var recorded *store.Record
	defer func() { t.cfg.Links.Recorded(id, recorded) }() // also if the store panics
	if t.hopeless() {
		return
	}
	var rec store.Record
	err := t.cfg.Gateway.LoadActive(context.Background(), id, &rec, nil, func(*store.Record) error { return nil })
	switch {
	case err == nil:
		recorded = &rec
	case errors.Is(err, gateway.ErrMissing):
		var none L
		t.Missing(context.Background(), id, none)
	default:
		t.cfg.Report.StoreFailed(context.Background(), "record a session's activity", id, err)
	}
}

// endUnproved closes the connections of a session whose device was not proved in time.
func (t *Tracker[L]) endUnproved(rec *store.Record) {
	if login, over := t.cfg.Devices.Deadline(rec); login == 0 || time.Now().Before(over) {
		return
	}
	for _, l := range t.cfg.Links.PartSession(rec.ID, DeviceOver) {
		t.cfg.Close(l, DeviceOver)
	}
}

// lacksDevice reports whether the session is bound to a device that a connection has not proved.
func (t *Tracker[L]) lacksDevice(rec *store.Record, device uint64) bool {
	login, _ := t.cfg.Devices.Deadline(rec)
	return device < login
}
