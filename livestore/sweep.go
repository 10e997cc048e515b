package livestore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// sweepBatch is the number of entries that are removed under one acquisition of a lock: much less
// than 0.1 ms of work.
const sweepBatch = 32

// Sweep implements store.Sweeper. After removing the first record it completes even if ctx ends,
// because removed records must be returned.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	recs, _ := s.sweep(min(now.UnixMicro(), never-1), n)
	return recs, nil
}

// taken is an entry that was removed.
type taken struct {
	at    int64 // when it expired
	entry *entry
	owned bool // no other goroutine can be reading its payload
}

// sweep removes entries in rounds: it finds the time before which about as many entries are due as
// are wanted, and removes these from each shard. The entries of a round expired before those of the
// next. It also returns the number of visited entries.
func (s *Store) sweep(now int64, n int) (recs []store.Record, visited int) {
	var gone []taken
	for len(gone) < n {
		limit, due := s.dueUntil(now, n-len(gone))
		if !due {
			break
		}
		begin := len(gone)
		for i := range s.shards {
			var looked int
			gone, looked = s.shards[i].takeExpired(limit, n, gone)
			visited += looked
		}
		slices.SortFunc(gone[begin:], func(a, b taken) int { return cmp.Compare(a.at, b.at) })
	}
	if len(gone) == 0 {
		return nil, visited
	}
	entries := make([]*entry, len(gone))
	for i := range gone {
		entries[i] = gone[i].entry
	}
	s.users.removeAll(entries)
	s.clients.removeAll(entries)
	recs = make([]store.Record, len(gone))
	for i := range gone {
		gone[i].fill(&recs[i])
	}
	return recs, visited
}

// fill completes the record, without a copy of the data if that is possible.
func (t *taken) fill(rec *store.Record) {
	l := t.entry.look()
	data := l.fill(rec)
	if !t.owned {
		data = bytes.Clone(data)
	}
	rec.Data = slices.Clip(data)
}

// dueUntil returns a time, at most now, before which fewer than n entries are due; false if none is
// due at now.
func (s *Store) dueUntil(now int64, n int) (limit int64, due bool) {
	each := 2 * sweepBatch // per shard; its part of n is smaller, unless hashes are very uneven
	if n < each*shardCount/2 {
		each = n/(shardCount/2) + 8
	}
	var keys []int64 // most sweeps find nothing
	limit = now
	for i := range s.shards {
		before := len(keys)
		keys = s.shards[i].firstDue(keys, now, each)
		if found := len(keys) - before; found == each {
			limit = min(limit, keys[len(keys)-1]) // later keys are unknown
		}
	}
	if len(keys) > n {
		limit = min(limit, nth(keys, n-1))
	}
	return limit, len(keys) > 0
}

// nth returns the key that would be at index n if the keys were sorted, in linear time on average.
// It reorders the keys.
func nth(keys []int64, n int) int64 {
	for len(keys) > 32 {
		last := len(keys) - 1
		pivot := max(min(keys[0], keys[last/2]), min(max(keys[0], keys[last/2]), keys[last]))
		below, equal := 0, 0
		for i, key := range keys {
			switch {
			case key < pivot:
				keys[i] = keys[below+equal]
				keys[below+equal] = keys[below]
				keys[below] = key
				below++
			case key == pivot:
				keys[i] = keys[below+equal]
				keys[below+equal] = key
				equal++
			}
		}
		switch {
		case n < below:
			keys = keys[:below]
		case n < below+equal:
			return pivot
		default:
			keys, n = keys[below+equal:], n-below-equal
		}
	}
	slices.Sort(keys)
	return keys[n]
}

func (sh *shard) firstDue(keys []int64, now int64, n int) []int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.expiry.firstKeys(keys, now, n)
}

// takeExpired removes entries that expired at or before limit and appends them to gone, until gone
// has n. It releases the lock after every sweepBatch steps, and returns the number of steps.
func (sh *shard) takeExpired(limit int64, n int, gone []taken) (_ []taken, visited int) {
	for more := true; more && len(gone) < n; {
		var looked int
		gone, looked, more = sh.takeBatch(limit, n, gone)
		visited += looked
	}
	return gone, visited
}

// takeBatch iterates over the entries several times, with one independent step for each entry, so
// that the processor loads the memory of several entries at once. An entry that expires after its
// key moves to its expiry.
func (sh *shard) takeBatch(limit int64, n int, gone []taken) (_ []taken, visited int, more bool) {
	var buf [sweepBatch]*entry
	standing := buf[:0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for len(standing) < min(sweepBatch, n-len(gone)) && sh.expiry.firstKey() <= limit {
		standing = append(standing, sh.expiry.popFirst())
	}
	visited = len(standing)
	owned := sh.quiet()
	expired := standing[:0]
	for _, e := range standing {
		if expiry := e.expiry(); expiry > e.due {
			sh.stand(e, expiry)
			continue
		}
		e.dead, e.due = true, never
		expired = append(expired, e)
		gone = append(gone, taken{e.expires, e, owned})
	}
	sh.sessions.warm(expired)
	for _, e := range expired {
		sh.sessions.unlink(sh.sessions.link(e))
	}
	for _, e := range expired {
		sh.activity.remove(e.seen, e)
	}
	return gone, visited, sh.expiry.firstKey() <= limit
}
