package redisstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// minute is how exact the index by activity is, in milliseconds.
const minute = 60_000

// ActiveSince implements store.ActivityIndex. What the index has is collected at once, because a session moves in it when it is seen; the
// sessions themselves are read minute by minute.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	const doing = "active since"
	return func(yield func(store.Record, error) bool) {
		entries, err := s.collect(ctx, doing, millisOf(since)/minute*minute)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for len(entries) > 0 {
			n := 1
			for n < len(entries) && entries[n].at/minute == entries[0].at/minute {
				n++
			}
			recs, err := s.readMinute(ctx, doing, entries[:n], since)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			entries = entries[n:]
			for _, rec := range recs {
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}

// collect returns what the index has from a time on, the last minute first.
func (s *Store) collect(ctx context.Context, doing string, from uint64) (all []entry, err error) {
	w := s.walk(s.prefixes, from)
	for {
		entries, err := w.more(ctx, doing)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			break
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(b.at/minute, a.at/minute) })
	return all, nil
}

// readMinute returns the records of a minute that were seen since, the last seen first.
func (s *Store) readMinute(ctx context.Context, doing string, entries []entry, since time.Time) (all []store.Record, err error) {
	from := millisOf(since)
	for some := range slices.Chunk(entries, piece) {
		recs, err := s.read(ctx, doing, some)
		if err != nil {
			return nil, err
		}
		for _, rec := range recs {
			if millisOf(rec.Seen) >= from {
				all = append(all, rec)
			}
		}
	}
	sortNewestFirst(all)
	return all, nil
}

func sortNewestFirst(recs []store.Record) {
	slices.SortStableFunc(recs, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
}

// beginning is how much of a session ListActive reads: its head, and the user ID unless that is long.
const beginning = headSize + 78

// ListActive implements store.ActiveLister.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	const doing = "list active"
	return func(yield func(store.Active, error) bool) {
		from := millisOf(since)
		w := s.walk(s.prefixes, from/minute*minute)
		for {
			entries, err := w.more(ctx, doing)
			if err == nil && len(entries) == 0 {
				return
			}
			var active []store.Active
			if err == nil {
				active, err = s.activeOf(ctx, doing, entries, from, millisOf(now))
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

// activeOf returns those that were seen since a time and haven't expired.
func (s *Store) activeOf(ctx context.Context, doing string, entries []entry, from, now uint64) (active []store.Active, err error) {
	client := s.engine.client
	commands := make([]rueidis.Completed, len(entries))
	for i, e := range entries {
		commands[i] = client.B().Getrange().Key(recordKey(e.prefix, e.member)).Start(0).End(beginning - 1).Build()
	}
	answers, err := s.engine.doAll(ctx, doing, commands)
	if err != nil {
		return nil, err
	}
	for i, answer := range answers {
		value, err := answer.ToString()
		if err != nil {
			return nil, damaged(doing, err)
		}
		if value == "" {
			continue // it is gone
		}
		v, err := open(value)
		if err != nil {
			return nil, damaged(doing, err)
		}
		expires := v.number(atExpires)
		if v.number(atSeen) < from || expires > 0 && expires <= now {
			continue
		}
		a := store.Active{UserID: v.text()}
		if a.ID, err = idOf(entries[i].member); err != nil {
			return nil, damaged(doing, err)
		}
		if v.failed { // a long user ID
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
