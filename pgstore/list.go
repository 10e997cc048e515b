package pgstore

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// A listing has at most so many sessions in memory at a time. One by an index begins with few,
// because the caller may need no more.
const (
	chunk      = 256
	firstChunk = 16
)

// List implements store.Lister. It reads the sessions by ID, a chunk at a time, so that it needs
// little memory and blocks no vacuum.
func (s *Store) List(ctx context.Context) iter.Seq2[store.Record, error] {
	const doing = "list"
	return func(yield func(store.Record, error) bool) {
		if err := s.backend.Ready(ctx, doing); err != nil {
			yield(store.Record{}, err)
			return
		}
		if !s.storable("") {
			return
		}
		statement, args := s.backend.statements.first, []any{s.app, chunk}
		for {
			recs, err := s.records(ctx, doing, statement, args...)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			for _, rec := range recs {
				if !yield(rec, nil) {
					return
				}
			}
			if len(recs) < chunk {
				return
			}
			statement, args = s.backend.statements.after, []any{s.app, chunk, recs[chunk-1].ID}
		}
	}
}

// ByUser implements store.UserIndex.
func (s *Store) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return s.by(ctx, "by user", s.backend.statements.byUser, userID,
		func(rec *store.Record) bool { return rec.UserID == userID })
}

// ByClient implements store.ClientIndex.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return s.by(ctx, "by client", s.backend.statements.byClient, clientID,
		func(rec *store.Record) bool { return rec.ClientID == clientID })
}

// by yields the sessions of an owner. It reads their IDs at once, and then the sessions, chunk by
// chunk.
func (s *Store) by(
	ctx context.Context, doing, statement, owner string, is func(*store.Record) bool,
) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.backend.Ready(ctx, doing); err != nil {
			yield(store.Record{}, err)
			return
		}
		if owner == "" || !s.storable(owner) {
			return
		}
		ids, err := s.ids(ctx, doing, statement, s.app, owner)
		s.readAll(ctx, doing, ids, err, is, yield)
	}
}

// ActiveSince implements store.ActivityIndex. Its memory is proportional to the number of sessions,
// about 60 bytes each, because a session moves in the order when it is seen.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	const doing = "active since"
	return func(yield func(store.Record, error) bool) {
		if err := s.backend.Ready(ctx, doing); err != nil {
			yield(store.Record{}, err)
			return
		}
		if !s.storable("") {
			return
		}
		from := codec.Micros(since)
		ids, err := s.ids(ctx, doing, s.backend.statements.activeSince, s.app, from)
		s.readAll(ctx, doing, ids, err, func(rec *store.Record) bool { return codec.Micros(rec.Seen) >= from }, yield)
	}
}

// readAll yields those of the sessions that still are what was asked for, the last seen first in each
// chunk.
func (s *Store) readAll(
	ctx context.Context, doing string, ids []string, err error, is func(*store.Record) bool,
	yield func(store.Record, error) bool,
) {
	if err != nil {
		yield(store.Record{}, err)
		return
	}
	for n := firstChunk; len(ids) > 0; n = min(2*n, chunk) {
		n = min(n, len(ids))
		recs, err := s.records(ctx, doing, s.backend.statements.read, s.app, ids[:n])
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		slices.SortFunc(recs, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
		for _, rec := range recs {
			if is(&rec) && !yield(rec, nil) {
				return
			}
		}
		ids = ids[n:]
	}
}

// ListActive implements store.ActiveLister. Its memory is proportional to the number of sessions,
// about 100 bytes each.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	const doing = "list active"
	return func(yield func(store.Active, error) bool) {
		if err := s.backend.Ready(ctx, doing); err != nil {
			yield(store.Active{}, err)
			return
		}
		if !s.storable("") {
			return
		}
		var active []store.Active
		err := s.backend.Repeat(ctx, doing, func(rows pgx.Rows) error {
			var a store.Active
			err := rows.Scan(&a.ID, &a.UserID)
			active = append(active, a)
			return err
		}, s.backend.statements.listActive, s.app, codec.Micros(since), codec.Micros(now))
		if err != nil {
			yield(store.Active{}, err)
			return
		}
		for _, a := range active {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// NewestByClient implements store.ClientOrder.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	const doing = "newest by client"
	if err := s.backend.Ready(ctx, doing); err != nil || clientID == "" || n <= 0 || !s.storable(clientID) {
		return nil, err
	}
	return s.records(ctx, doing, s.backend.statements.newest, s.app, clientID, n)
}

// SurplusByClient implements store.ClientOrder. PostgreSQL reads the index entries of the client's
// sessions.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	const doing = "surplus by client"
	if err := s.backend.Ready(ctx, doing); err != nil || clientID == "" || n <= 0 || !s.storable(clientID) {
		return nil, err
	}
	return s.ids(ctx, doing, s.backend.statements.surplus, s.app, clientID, max(keep, 0), n)
}

// records returns the sessions that a statement finds.
func (s *Store) records(ctx context.Context, doing, statement string, args ...any) (recs []store.Record, err error) {
	err = s.backend.Repeat(ctx, doing, func(rows pgx.Rows) error {
		rec, err := scan(rows)
		recs = append(recs, rec)
		return err
	}, statement, args...)
	return recs, err
}

// ids returns the IDs that a statement finds.
func (s *Store) ids(ctx context.Context, doing, statement string, args ...any) (ids []string, err error) {
	err = s.backend.Repeat(ctx, doing, func(rows pgx.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, statement, args...)
	return ids, err
}
