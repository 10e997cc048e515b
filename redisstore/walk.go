package redisstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// The names of the indexes in keys.
const (
	byExpiry   = "e"
	byActivity = "a"
	byUser     = "u"
	byClient   = "c"
)

// piece is how many sessions are read at a time.
const piece = 128

// entry is what an index has of a session.
type entry struct {
	member string
	at     uint64
}

// walk goes through a shard's index by activity, from a time on, and yields each member once, in pieces. A session moves in it only forward: a walk
// in that direction may meet one twice, which known prevents, and misses none that exists all the time.
type walk struct {
	store  *Store
	prefix string
	next   string // "": it has ended
	known  map[string]struct{}
}

func (s *Store) walk(prefix string, from uint64) *walk {
	return &walk{store: s, prefix: prefix, next: strconv.FormatUint(from, 10), known: map[string]struct{}{}}
}

// more returns the next entries; none: that were all.
func (w *walk) more(ctx context.Context, doing string) ([]entry, error) {
	for w.next != "" {
		scripts := &w.store.engine.scripts
		answer, err := w.store.engine.run(ctx, doing, call{&scripts.walk, w.prefix, []string{byActivity, w.next, strconv.Itoa(piece)}})
		if err != nil {
			return nil, err
		}
		fields, err := texts(doing, answer)
		if err != nil {
			return nil, err
		}
		if len(fields)%2 != 1 {
			return nil, damaged(doing, errAnswer)
		}
		w.next = fields[0]
		var entries []entry
		for i := 1; i < len(fields); i += 2 {
			at, err := strconv.ParseFloat(fields[i+1], 64)
			if err != nil {
				return nil, damaged(doing, err)
			}
			if _, ok := w.known[fields[i]]; !ok {
				w.known[fields[i]] = struct{}{}
				entries = append(entries, entry{fields[i], uint64(at)})
			}
		}
		if len(entries) > 0 {
			return entries, nil
		}
	}
	return nil, nil
}

var errAnswer = errors.New("an answer that no script gives")

// read returns the records of members of one shard, as far as they exist.
func (s *Store) read(ctx context.Context, doing, prefix string, members []string) ([]store.Record, error) {
	client := s.engine.client
	keys := make([]string, len(members))
	for i, member := range members {
		keys[i] = recordKey(prefix, member)
	}
	answers, err := s.engine.doAll(ctx, doing, []rueidis.Completed{client.B().Mget().Key(keys...).Build()})
	if err != nil {
		return nil, err
	}
	values, err := texts(doing, answers[0])
	if err != nil {
		return nil, err
	}
	if len(values) != len(members) {
		return nil, damaged(doing, errAnswer)
	}
	recs := make([]store.Record, 0, len(members))
	for i, value := range values {
		if value == "" {
			continue
		}
		rec, err := decode(doing, members[i], value)
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func decode(doing, member, value string) (store.Record, error) {
	id, err := idOf(member)
	if err != nil {
		return store.Record{}, damaged(doing, err)
	}
	rec, err := recordOf(id, value)
	if err != nil {
		return store.Record{}, damaged(doing, err)
	}
	return rec, nil
}
