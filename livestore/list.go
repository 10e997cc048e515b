package livestore

import (
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

// List implements store.Lister. A snapshot of one shard at a time costs some bytes per session.
func (s *Store) List(ctx context.Context) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		for i := range s.shards {
			for _, b := range s.shards[i].snapshot(math.MinInt64) {
				for _, it := range b.items {
					if !s.yield(ctx, it.e, anyRecord, yield) {
						return
					}
				}
			}
		}
	}
}

// ActiveSince implements store.ActivityIndex. The order is that of the moment at which the loop begins.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) records {
	return s.newestFirst(ctx, since.UnixMicro(), anyRecord)
}

// ByUser implements store.UserIndex. The order is that of the moment at which the loop begins.
func (s *Store) ByUser(ctx context.Context, userID string) records {
	is := func(rec *store.Record) bool { return rec.UserID == userID }
	if userID == "" {
		return s.newestFirst(ctx, math.MinInt64, is)
	}
	return s.group(ctx, &s.users, userID, is)
}

// ByClient implements store.ClientIndex. The order is that of the moment at which the loop begins.
func (s *Store) ByClient(ctx context.Context, clientID string) records {
	is := func(rec *store.Record) bool { return rec.ClientID == clientID }
	if clientID == "" {
		return s.newestFirst(ctx, math.MinInt64, is)
	}
	return s.group(ctx, &s.clients, clientID, is)
}

func anyRecord(*store.Record) bool { return true }

// newestFirst merges snapshots of the shards' orders by activity, from the end down to from.
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
		newest := newMerge(backwards, func(a, b *cursor) bool { return a.at.key > b.at.key })
		for top := newest.top(); top != nil && top.at.key >= from; top = newest.top() {
			if !s.yield(ctx, top.at.e, is, yield) {
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

// cursor goes through a snapshot from its end.
type cursor struct {
	blocks []block
	items  []item // what is left of the block that was last
	at     item
}

func (c *cursor) next() bool {
	if len(c.items) == 0 {
		last := len(c.blocks) - 1
		if last < 0 {
			return false
		}
		c.items, c.blocks = c.blocks[last].items, c.blocks[:last]
	}
	last := len(c.items) - 1
	c.at, c.items = c.items[last], c.items[:last]
	return true
}

// group yields the members of an index's group. They are few, or those of somebody with very many sessions: they are
// sorted when asked for, because keeping them sorted would cost something at every change of every session.
func (s *Store) group(ctx context.Context, x *index, value string, is func(*store.Record) bool) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		members := x.snapshot(value)
		seen := make([]item, len(members))
		for i, e := range members {
			seen[i] = item{s.shard(e.id).seenOf(e), e}
		}
		slices.SortFunc(seen, func(a, b item) int { return b.compare(a.key, a.e) })
		for _, it := range seen {
			if !s.yield(ctx, it.e, is, yield) {
				return
			}
		}
	}
}

// yield gives the caller the record of e as it is now, unless it is gone or isn't what was asked for any more. It returns
// false when the loop is over.
func (s *Store) yield(ctx context.Context, e *entry, is func(*store.Record) bool, yield yield) bool {
	if err := s.ready(ctx); err != nil {
		yield(store.Record{}, err)
		return false
	}
	var rec store.Record
	sh := s.shard(e.id)
	sh.mu.Lock()
	dead := e.dead
	data := e.copyTo(&rec)
	sh.mu.Unlock()
	if dead || !is(&rec) {
		return true
	}
	rec.Data = bytesOf(data)
	return yield(rec, nil)
}

func (sh *shard) snapshot(from int64) []block {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.activity.snapshot(from)
}

func (sh *shard) seenOf(e *entry) int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return e.seen
}
