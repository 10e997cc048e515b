package activity

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Filter selects the sessions that match every field that isn't zero.
type Filter struct {
	SessionID, UserID, ClientID string
	ActiveWithin                time.Duration // before now
}

// Sessions yields the sessions that the filter selects and that haven't expired, the last active
// first. Seen of a record is the latest activity that is known. It reads only as far as the loop
// goes. An error is the last item, beside a zero record.
func (a *Activity) Sessions(ctx context.Context, f Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		now := gateway.Now()
		var r recent
		if f.ActiveWithin > 0 {
			var err error
			if r, err = a.recent(ctx, now, f.ActiveWithin, a.precise(f.ActiveWithin)); err != nil {
				yield(store.Record{}, err)
				return
			}
		}
		for rec, err := range a.read(ctx, &f, &r, now) {
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if f.SessionID == "" && rec.Seen.Before(r.recorded) { // and so are all that follow
				break
			}
			if r.matches(&f, &rec, now) && !yield(rec, nil) {
				return
			}
		}
		if r.silent != nil {
			yield(store.Record{}, r.silent)
		}
	}
}

// read yields the sessions that may match, the last recorded activity first.
func (a *Activity) read(ctx context.Context, f *Filter, r *recent, now time.Time) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if f.SessionID != "" {
			rec, err := a.cfg.Gateway.Load(ctx, f.SessionID)
			if !errors.Is(err, gateway.ErrMissing) {
				yield(rec, err)
			}
			return
		}
		all, err := a.cfg.Gateway.Newest(ctx, gateway.Query{UserID: f.UserID, ClientID: f.ClientID, Since: r.recorded},
			func(rec *store.Record) bool { return r.matches(f, rec, now) })
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for rec, err := range all {
			if err != nil {
				err = gateway.Unavailable(ctx, "list the sessions", err)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// matches sets rec.Seen to the latest activity that is known, and reports whether the record
// matches.
func (r *recent) matches(f *Filter, rec *store.Record, now time.Time) bool {
	if at := r.active[rec.ID]; at.After(rec.Seen) {
		rec.Seen = at
	}
	return (f.UserID == "" || rec.UserID == f.UserID) && (f.ClientID == "" || rec.ClientID == f.ClientID) &&
		!rec.Seen.Before(r.since) && !rec.Expired(now)
}
