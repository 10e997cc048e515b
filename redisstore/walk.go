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
	prefix, member string
	at             uint64
}

// walk goes through the index by activity, of some shards at once, from a time on, and yields each member once, in pieces. A session moves in the
// index only forward: a walk in that direction may meet one twice, which known prevents, and misses none that exists all the time.
type walk struct {
	store  *Store
	shards []position
	known  map[string]struct{}
}

type position struct{ prefix, next string }

func (s *Store) walk(prefixes []string, from uint64) *walk {
	w := &walk{store: s, known: map[string]struct{}{}}
	for _, prefix := range prefixes {
		w.shards = append(w.shards, position{prefix, strconv.FormatUint(from, 10)})
	}
	return w
}

// more returns the next entries; none: that were all.
func (w *walk) more(ctx context.Context, doing string) (entries []entry, err error) {
	for len(entries) == 0 && len(w.shards) > 0 {
		calls := make([]call, len(w.shards))
		for i, p := range w.shards {
			calls[i] = call{&w.store.engine.scripts.walk, p.prefix, []string{byActivity, p.next, strconv.Itoa(piece)}}
		}
		answers, err := w.store.engine.runAll(ctx, doing, calls)
		if err != nil {
			return nil, err
		}
		var left []position
		for i, answer := range answers {
			prefix := w.shards[i].prefix
			fields, err := texts(doing, answer)
			if err != nil {
				return nil, err
			}
			if len(fields)%2 != 1 {
				return nil, damaged(doing, errAnswer)
			}
			if entries, err = w.take(entries, prefix, fields[1:]); err != nil {
				return nil, damaged(doing, err)
			}
			if fields[0] != "" {
				left = append(left, position{prefix, fields[0]})
			}
		}
		w.shards = left
	}
	return entries, nil
}

// take appends what a shard has answered: members and places.
func (w *walk) take(entries []entry, prefix string, fields []string) ([]entry, error) {
	for i := 0; i < len(fields); i += 2 {
		at, err := placeFrom(fields[i+1])
		if err != nil {
			return nil, err
		}
		if _, ok := w.known[fields[i]]; !ok {
			w.known[fields[i]] = struct{}{}
			entries = append(entries, entry{prefix, fields[i], at})
		}
	}
	return entries, nil
}

// placeFrom reads a place as Redis writes numbers: some versions have exponents.
func placeFrom(score string) (uint64, error) {
	at, err := strconv.ParseFloat(score, 64)
	return uint64(at), err
}

var errAnswer = errors.New("an answer that no script gives")

// values returns the values of the entries, at once; "" of those that are gone.
func (s *Store) values(ctx context.Context, doing string, entries []entry) ([]string, error) {
	places := map[string][]int{} // in entries, by shard
	for i, e := range entries {
		places[e.prefix] = append(places[e.prefix], i)
	}
	client := s.engine.client
	var commands []rueidis.Completed
	var order []int
	for prefix, some := range places {
		keys := make([]string, len(some))
		for i, at := range some {
			keys[i] = recordKey(prefix, entries[at].member)
		}
		commands = append(commands, client.B().Mget().Key(keys...).Build())
		order = append(order, some...)
	}
	answers, err := s.engine.doAll(ctx, doing, commands)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(entries))
	for _, answer := range answers {
		some, err := texts(doing, answer)
		if err != nil {
			return nil, err
		}
		if len(some) > len(order) {
			return nil, damaged(doing, errAnswer)
		}
		for i, value := range some {
			values[order[i]] = value
		}
		order = order[len(some):]
	}
	return values, nil
}

// read returns the records of the entries, as far as they exist, in their order.
func (s *Store) read(ctx context.Context, doing string, entries []entry) ([]store.Record, error) {
	values, err := s.values(ctx, doing, entries)
	if err != nil {
		return nil, err
	}
	recs := make([]store.Record, 0, len(entries))
	for i, value := range values {
		if value == "" {
			continue
		}
		rec, err := decode(doing, entries[i].member, value)
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
