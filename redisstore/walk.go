package redisstore

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// chunk is the number of sessions that one command reads.
	chunk = 128

	// batch is the number of sessions that are read at once, and of index entries that a script
	// returns, which blocks Redis for about 0.3 ms.
	batch = 512
)

// entry is an index entry. A walk knows the score to the minute.
type entry struct {
	prefix, member string
	score          uint64
}

// walk iterates over the index by activity of several shards at once, from a time on, and returns
// each member once. A session moves in the index only forward: a walk in that direction may meet it
// twice, which known detects, and doesn't miss one that exists all the time.
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

// next returns the next entries, none at the end.
func (w *walk) next(ctx context.Context, doing string) (entries []entry, err error) {
	backend := w.store.backend
	for len(entries) == 0 && len(w.shards) > 0 {
		calls := make([]scripts.Call, len(w.shards))
		for i, p := range w.shards {
			calls[i] = backend.scripts.Walk.On(p.prefix, scripts.ByActivity, p.next, strconv.Itoa(batch))
		}
		replies, err := backend.RunAll(ctx, doing, calls)
		if err != nil {
			return nil, err
		}
		var unfinished []position
		for i, reply := range replies {
			prefix := w.shards[i].prefix
			fields, err := conn.Texts(doing, reply)
			if err != nil {
				return nil, err
			}
			if len(fields) == 0 {
				return nil, conn.Damaged(doing, conn.ErrReply)
			}
			if entries, err = w.add(entries, prefix, fields[1:]); err != nil {
				return nil, conn.Damaged(doing, err)
			}
			if fields[0] != "" {
				unfinished = append(unfinished, position{prefix, fields[0]})
			}
		}
		w.shards = unfinished
	}
	return entries, nil
}

// add appends the entries of a shard that aren't known yet. fields are runs of members: their number,
// a score, and the members.
func (w *walk) add(entries []entry, prefix string, fields []string) ([]entry, error) {
	const head = 2
	for len(fields) > 0 {
		n, err := strconv.Atoi(fields[0])
		if err != nil || n < 0 || len(fields) < head+n {
			return nil, conn.ErrReply
		}
		score, err := parseScore(fields[1])
		if err != nil {
			return nil, err
		}
		for _, member := range fields[head : head+n] {
			if _, ok := w.known[member]; !ok {
				w.known[member] = struct{}{}
				entries = append(entries, entry{prefix, member, score})
			}
		}
		fields = fields[head+n:]
	}
	return entries, nil
}

// parseScore parses a score as Redis formats it, in some versions with an exponent.
func parseScore(text string) (uint64, error) {
	score, err := strconv.ParseFloat(text, 64)
	return uint64(score), err
}

// values returns the values of the entries, "" for sessions that are gone.
func (s *Store) values(ctx context.Context, doing string, entries []entry) ([]string, error) {
	indices := map[string][]int{} // into entries, by shard
	for i, e := range entries {
		indices[e.prefix] = append(indices[e.prefix], i)
	}
	client := s.backend.Client
	var commands []rueidis.Completed
	var order []int
	for prefix, of := range indices {
		for part := range slices.Chunk(of, chunk) {
			keys := make([]string, len(part))
			for i, at := range part {
				keys[i] = codec.RecordKey(prefix, entries[at].member)
			}
			commands = append(commands, client.B().Mget().Key(keys...).Build())
		}
		order = append(order, of...)
	}
	replies, err := s.backend.DoAll(ctx, doing, commands)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(entries))
	for _, reply := range replies {
		texts, err := conn.Texts(doing, reply)
		if err != nil {
			return nil, err
		}
		if len(texts) > len(order) {
			return nil, conn.Damaged(doing, conn.ErrReply)
		}
		for i, value := range texts {
			values[order[i]] = value
		}
		order = order[len(texts):]
	}
	return values, nil
}

// read returns the records of the entries that exist, in their order.
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
	id, err := codec.ID(member)
	if err != nil {
		return store.Record{}, conn.Damaged(doing, err)
	}
	rec, err := codec.Decode(id, value)
	if err != nil {
		return store.Record{}, conn.Damaged(doing, err)
	}
	return rec, nil
}
