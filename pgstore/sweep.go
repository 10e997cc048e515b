package pgstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// sweepChunk is the number of sessions that a transaction removes.
const sweepChunk = 250

// Sweep implements store.Sweeper. It leaves sessions that another process is changing or sweeping at
// the moment to the next call. It waits for the reply to a chunk regardless of the context, so that
// the removed sessions are returned. If the reply is lost, with the connection or after
// Options.Timeout, so are the records in it.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (removed []store.Record, err error) {
	const doing = "sweep"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return nil, err
	}
	for more := s.storable(""); more && len(removed) < n; {
		if err := s.backend.Ready(ctx, doing); err != nil {
			return removed, err
		}
		var recs []store.Record
		recs, more, err = s.sweepOnce(context.WithoutCancel(ctx), doing, now, min(n-len(removed), sweepChunk))
		removed = append(removed, recs...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// sweepOnce looks at the n sessions that are due first and removes those that have expired before
// all others. more reports whether another call may find some.
func (s *Store) sweepOnce(
	ctx context.Context, doing string, now time.Time, n int,
) (removed []store.Record, more bool, err error) {
	var told []string
	err = s.backend.Query(ctx, doing, func(rows pgx.Rows) error {
		var looked int64
		var names string
		rec, err := scan(rows, &looked, &names)
		if err != nil {
			return err
		}
		if rec.Revision > 0 {
			removed = append(removed, rec)
		} else { // the last row
			more, told = looked == int64(n), strings.Fields(names)
		}
		return nil
	}, s.backend.statements.sweep, s.actor(), s.app, codec.Micros(now), n)
	if err != nil {
		return nil, false, err // the transaction has removed nothing, or its outcome is unknown
	}
	s.backend.waker.Wake(told)
	for _, rec := range removed {
		s.removed(rec.ID)
	}
	slices.SortStableFunc(removed, func(a, b store.Record) int { return a.Expires.Compare(b.Expires) })
	return removed, more, nil
}
