package livestore

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// sweepBatch is how many entries are taken out under one hold of a shard's lock: well under 0.1 ms of work.
const sweepBatch = 32

// Sweep implements store.Sweeper. Once it has removed the first record it finishes, even if ctx ends: what it removed must
// be returned.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	recs, _ := s.sweep(now.UnixMicro(), n)
	return recs, nil
}

// head is a shard with the time at which its order by expiry begins.
type head struct {
	sh  *shard
	due int64
}

// sweep merges the shards by expiry. It also returns how many entries it looked at.
func (s *Store) sweep(now int64, n int) (recs []store.Record, visited int) {
	due := newMerge(s.heads(now), func(a, b *head) bool { return a.due < b.due })
	batch := make([]*entry, 0, sweepBatch)
	for top := due.top(); top != nil && len(recs) < n; top = due.top() {
		limit := now
		if second := due.second(); second != nil {
			limit = min(limit, second.due)
		}
		var looked int
		batch, looked, top.due = top.sh.takeExpired(limit, n-len(recs), batch[:0])
		visited += looked
		for _, e := range batch {
			recs = append(recs, e.record())
		}
		if top.due <= now {
			due.fix()
		} else {
			due.drop()
		}
	}
	return recs, visited
}

// heads returns the shards in which something may be due.
func (s *Store) heads(now int64) []head {
	var heads []head
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		it, ok := sh.expiry.first()
		sh.mu.Unlock()
		if ok && it.key <= now {
			heads = append(heads, head{sh, it.key})
		}
	}
	return heads
}

// takeExpired removes up to n entries that expired at or before limit and appends them to batch. It stops after sweepBatch
// steps, and returns the number of steps and the time at which the order begins now. An entry that turns out to expire
// later than it stands moves to where it belongs.
func (sh *shard) takeExpired(limit int64, n int, batch []*entry) (taken []*entry, visited int, due int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for {
		it, ok := sh.expiry.first()
		if !ok {
			return batch, visited, never
		}
		if it.key > limit || len(batch) == n || visited == sweepBatch {
			return batch, visited, it.key
		}
		visited++
		if expiry := it.e.expiry(); expiry > it.key {
			sh.stand(it.e, expiry)
			continue
		}
		sh.remove(it.e)
		batch = append(batch, it.e)
	}
}

// record copies an entry that changes no more.
func (e *entry) record() (rec store.Record) {
	data := e.copyTo(&rec)
	rec.Data = bytesOf(data)
	return rec
}
