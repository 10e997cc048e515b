package livestore

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

type (
	records = iter.Seq2[store.Record, error]
	yield   = func(store.Record, error) bool
)

// List implements store.Lister. Its snapshot of one shard at a time takes a few bytes per session.
func (s *Store) List(ctx context.Context) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		for i := range s.shards {
			for c := (cursor{blocks: s.shards[i].snapshot(math.MinInt64)}); c.next(); {
				if !s.yield(ctx, c.entry, anyRecord, yield) {
					return
				}
			}
		}
	}
}

// ActiveSince implements store.ActivityIndex. The order is that at the beginning of the loop.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) records {
	return s.newestFirst(ctx, since.UnixMicro(), anyRecord)
}

// ByUser implements store.UserIndex. The order is that at the beginning of the loop.
func (s *Store) ByUser(ctx context.Context, userID string) records {
	return s.group(ctx, &s.users, userID, func(rec *store.Record) bool { return userID != "" && rec.UserID == userID })
}

// ByClient implements store.ClientIndex. The order is that at the beginning of the loop.
func (s *Store) ByClient(ctx context.Context, clientID string) records {
	return s.group(ctx, &s.clients, clientID, func(rec *store.Record) bool {
		return clientID != "" && rec.ClientID == clientID
	})
}

func anyRecord(*store.Record) bool { return true }

// newestFirst merges snapshots of the shards' orders by activity, from the end back to from.
func (s *Store) newestFirst(ctx context.Context, from int64, is func(*store.Record) bool) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		var backwards []cursor
		for i := range s.shards {
			c := cursor{blocks: s.shards[i].snapshot(from)}
			if c.next() {
				backwards = append(backwards, c)
			}
		}
		newest := newMerge(backwards, func(a, b *cursor) bool { return a.key > b.key })
		for top := newest.top(); top != nil && top.key >= from; top = newest.top() {
			if !s.yield(ctx, top.entry, is, yield) {
				return
			}
			if top.next() {
				newest.fix()
			} else {
				newest.drop()
			}
		}
	}
}

// cursor iterates over a snapshot from its end.
type cursor struct {
	blocks []*block // the remaining blocks, the last of which is the current one
	slot   int      // in that block, one above the next entry; 0: at the end

	key   int64
	entry *entry
}

func (c *cursor) next() bool {
	for len(c.blocks) > 0 {
		last := len(c.blocks) - 1
		b := c.blocks[last]
		if c.slot == 0 {
			c.slot = int(b.n)
		}
		for c.slot > 0 {
			c.slot--
			if e := b.entries[c.slot]; e != nil {
				c.key, c.entry = b.keys[c.slot], e
				if c.slot == 0 {
					c.blocks = c.blocks[:last]
				}
				return true
			}
		}
		c.blocks = c.blocks[:last]
	}
	return false
}

// moment is an entry with the time at which it was seen when the loop began.
type moment struct {
	at    int64
	entry *entry
}

// group yields the members of an index's group. They are sorted when they are read, because keeping
// them sorted would slow down every change of every session, and most groups are small.
func (s *Store) group(ctx context.Context, x *index, value string, is func(*store.Record) bool) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		hash := s.hash(value)
		members := x.part(hash).snapshot(hash, value)
		seen := make([]moment, len(members))
		for i, e := range members {
			seen[i] = moment{s.shard(e.hash[byID]).seenOf(e), e}
		}
		slices.SortFunc(seen, func(a, b moment) int { return cmp.Compare(b.at, a.at) })
		for _, m := range seen {
			if !s.yield(ctx, m.entry, is, yield) {
				return
			}
		}
	}
}

// yield passes the current record of e to the caller, unless it is gone or no longer matches. It
// returns false when the loop has ended.
func (s *Store) yield(ctx context.Context, e *entry, is func(*store.Record) bool, yield yield) bool {
	if err := s.ready(ctx); err != nil {
		yield(store.Record{}, err)
		return false
	}
	sh := s.shard(e.hash[byID])
	sh.mu.Lock()
	if e.dead {
		sh.mu.Unlock()
		return true
	}
	l := sh.look(e)
	sh.mu.Unlock()
	var rec store.Record
	rec.Data = bytes.Clone(l.fill(&rec))
	sh.looked.Add(1)
	return !is(&rec) || yield(rec, nil)
}

func (sh *shard) snapshot(from int64) []*block {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.activity.snapshot(from)
}

func (sh *shard) seenOf(e *entry) int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return e.seen
}
