package livestore

import (
	"context"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// activeBatch is the number of entries that are read under one acquisition of a lock.
const activeBatch = 64

// ListActive implements store.ActiveLister.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		var active []store.Active
		for i := range s.shards {
			if err := s.ready(ctx); err != nil {
				yield(store.Active{}, err)
				return
			}
			sh := &s.shards[i]
			c := cursor{blocks: sh.snapshot(since.UnixMicro())}
			for more := true; more; {
				if active, more = sh.lookActive(&c, since.UnixMicro(), now.UnixMicro(), active[:0]); len(active) == 0 {
					continue
				}
				if err := s.ready(ctx); err != nil {
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
}

// lookActive appends those of the cursor's next entries that were seen since and haven't expired.
// It returns false at the end. Strings are shared with the entry, whose names never change in
// place.
func (sh *shard) lookActive(c *cursor, since, now int64, active []store.Active) (_ []store.Active, more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for range activeBatch {
		if !c.next() || c.key < since {
			return active, false
		}
		if e := c.entry; !e.dead && e.expiry() > now {
			active = append(active, store.Active{ID: e.names.id(), UserID: e.names.userID()})
		}
	}
	return active, true
}
