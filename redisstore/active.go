package redisstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// minute is the precision of the index by activity, in milliseconds.
const minute = 60_000

// ActiveSince implements store.ActivityIndex. It reads the index at once, because a session moves
// in it when it is seen, and then the sessions minute by minute.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	const doing = "active since"
	return func(yield func(store.Record, error) bool) {
		entries, err := s.activeEntries(ctx, doing, codec.Millis(since)/minute*minute)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for len(entries) > 0 {
			n := 1
			for n < len(entries) && entries[n].score/minute == entries[0].score/minute {
				n++
			}
			minute, err := s.readMinute(ctx, doing, entries[:n], since)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			entries = entries[n:]
			for i := range minute {
				rec, err := decode(doing, minute[i].member, minute[i].value)
				if !yield(rec, err) || err != nil {
					return
				}
			}
		}
	}
}

// activeEntries returns the index entries from a time on, the last minute first.
func (s *Store) activeEntries(ctx context.Context, doing string, from uint64) (all []entry, err error) {
	w := s.walk(s.prefixes, from)
	for {
		entries, err := w.next(ctx, doing)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			break
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(b.score/minute, a.score/minute) })
	return all, nil
}

// encoded is a session that isn't decoded yet, because whole records take long to sort.
type encoded struct {
	member, value string
	seen          uint64
}

// readMinute returns the sessions of a minute that were seen since, the last seen first.
func (s *Store) readMinute(
	ctx context.Context, doing string, entries []entry, since time.Time,
) ([]encoded, error) {
	from := codec.Millis(since)
	all := make([]encoded, 0, len(entries))
	for part := range slices.Chunk(entries, 4*batch) { // Redis executes some while others are received
		values, err := s.values(ctx, doing, part)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			if value == "" {
				continue // the session is gone
			}
			head, err := codec.OpenHead(value)
			if err != nil {
				return nil, conn.Damaged(doing, err)
			}
			if head.Seen() >= from {
				all = append(all, encoded{part[i].member, value, head.Seen()})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b encoded) int { return cmp.Compare(b.seen, a.seen) })
	return all, nil
}

// activePrefix is how much of a value ListActive reads: the head, and the user ID unless it is
// long.
const activePrefix = codec.HeadSize + 78

// ListActive implements store.ActiveLister.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	const doing = "list active"
	return func(yield func(store.Active, error) bool) {
		from := codec.Millis(since)
		w := s.walk(s.prefixes, from/minute*minute)
		for {
			entries, err := w.next(ctx, doing)
			if err == nil && len(entries) == 0 {
				return
			}
			var active []store.Active
			if err == nil {
				active, err = s.activeOf(ctx, doing, entries, from, codec.Millis(now))
			}
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
}

// activeOf returns the sessions that were seen since a time and haven't expired.
func (s *Store) activeOf(
	ctx context.Context, doing string, entries []entry, from, now uint64,
) (active []store.Active, err error) {
	client := s.backend.Client
	commands := make([]rueidis.Completed, len(entries))
	for i, e := range entries {
		key := codec.RecordKey(e.prefix, e.member)
		commands[i] = client.B().Getrange().Key(key).Start(0).End(activePrefix - 1).Build()
	}
	replies, err := s.backend.DoAll(ctx, doing, commands)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		value, err := reply.ToString()
		if err != nil {
			return nil, conn.Damaged(doing, err)
		}
		if value == "" {
			continue // the session is gone
		}
		head, err := codec.OpenHead(value)
		if err != nil {
			return nil, conn.Damaged(doing, err)
		}
		expires := head.Expires()
		if head.Seen() < from || expires > 0 && expires <= now {
			continue
		}
		var a store.Active
		if a.ID, err = codec.ID(entries[i].member); err != nil {
			return nil, conn.Damaged(doing, err)
		}
		var complete bool
		if a.UserID, complete = head.UserID(); !complete {
			recs, err := s.read(ctx, doing, entries[i:i+1])
			if err != nil {
				return nil, err
			}
			if len(recs) == 0 {
				continue
			}
			a.UserID = recs[0].UserID
		}
		active = append(active, a)
	}
	return active, nil
}
