package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// ActiveSince implements store.ActivityIndex. The order is that at the beginning of the loop. It
// takes about 50 bytes of memory for each session that it finds.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return s.records(ctx, s.activeKeys(ctx, since), func(rec *store.Record) bool { return !rec.Seen.Before(since) })
}

// ListActive implements store.ActiveLister. It takes about 50 bytes of memory for each session that
// it finds.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for key, err := range s.activeKeys(ctx, since) {
			active := store.Active{}
			if err == nil {
				active, err = s.activeAt(ctx, []byte(key), now.UnixMicro())
			}
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if !yield(active, err) || err != nil {
				return
			}
		}
	}
}

// activeAt returns the owner of a session, or ErrNotFound if it has expired or is gone.
func (s *Store) activeAt(ctx context.Context, key []byte, now int64) (active store.Active, err error) {
	if err := s.ready(ctx); err != nil {
		return active, err
	}
	id, err := decodeID(key)
	if err != nil {
		return active, err
	}
	err = s.look(key, func(v value) error {
		if v.expiry() <= now {
			return store.ErrNotFound
		}
		user, _ := v.owner()
		active = store.Active{ID: id, UserID: string(user)}
		return nil
	})
	return active, err
}

// activeKeys yields the keys of the sessions that were seen since a moment, the last one first.
func (s *Store) activeKeys(ctx context.Context, since time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		a := activity{store: s, since: since.UnixMicro()}
		err := s.ready(ctx)
		if err == nil {
			err = a.collect()
		}
		for moments := []moment(nil); err == nil; {
			if moments, err = a.next(ctx); err == nil && moments == nil {
				return
			}
			for _, m := range moments {
				if !yield(m.key, nil) {
					return
				}
			}
		}
		yield("", err)
	}
}

// activity is an iteration over the sessions that were seen since a moment, from the last one back.
// The entries of the database's index are collected at once, because a session moves in it when it
// is seen. The sessions are read minute by minute.
type activity struct {
	store *Store
	since int64

	newer  []moment            // in overlays, the last one first
	seen   map[string]struct{} // all keys in overlays
	keys   []byte              // in the index, each after its length
	starts []int               // where the keys of a minute start, the last minute first
	minute []uint32
}

// collect finds the sessions. A checkpoint moves entries of the index, so that a session is in
// neither place for a moment: it is in an overlay then, until the epoch ends.
func (a *activity) collect() error {
	for {
		epoch := a.store.engine.epoch.Load()
		a.keys, a.starts, a.minute = nil, nil, nil
		a.newer, a.seen = nil, make(map[string]struct{})
		a.collectNewer() // first: sessions that leave the overlays are in the database then
		if err := a.store.engine.database.view(a.collectIndex); err != nil {
			return err
		}
		a.collectNewer() // again: sessions whose entries are being moved have come into them
		if a.store.engine.epoch.Load() == epoch {
			sortNewestFirst(a.newer)
			return nil
		}
	}
}

func (a *activity) collectNewer() {
	l := a.store.space.layers.Load()
	for _, o := range l.all() {
		o.all(func(key string, _ *slot, v *version) {
			if a.has(key) {
				return // the active overlay has the newer version
			}
			a.seen[key] = struct{}{}
			if v.value != nil && v.value.seen() >= a.since {
				a.newer = append(a.newer, moment{v.value.seen(), key})
			}
		})
	}
}

func (a *activity) collectIndex(tx *bolt.Tx) error {
	bucket := tx.Bucket(a.store.space.buckets.seen)
	if bucket == nil {
		return nil
	}
	c := bucket.Cursor()
	first := binary.BigEndian.AppendUint32(nil, granuleOf(a.since))
	for k, _ := c.Last(); k != nil && bytes.Compare(k, first) >= 0; k, _ = c.Prev() {
		minute := binary.BigEndian.Uint32(k)
		if n := len(a.minute); n == 0 || a.minute[n-1] != minute {
			a.minute, a.starts = append(a.minute, minute), append(a.starts, len(a.keys))
		}
		a.keys = appendText(a.keys, string(k[seenKeyGranule:]))
	}
	return nil
}

// next returns the sessions of one more minute, or between two of them, the last one first. nil:
// there are no more.
func (a *activity) next(ctx context.Context) ([]moment, error) {
	for len(a.minute) > 0 || len(a.newer) > 0 {
		var moments []moment
		from := int64(math.MinInt64)
		if len(a.minute) > 0 {
			end := len(a.keys)
			if len(a.starts) > 1 {
				end = a.starts[1]
			}
			if a.minute[0] > 0 { // the first minute includes all earlier times
				from = int64(a.minute[0]) * granule
			}
			var err error
			if moments, err = a.look(ctx, reader{rest: a.keys[a.starts[0]:end]}); err != nil {
				return nil, err
			}
			a.minute, a.starts = a.minute[1:], a.starts[1:]
		}
		for len(a.newer) > 0 && a.newer[0].seen >= from {
			moments = append(moments, a.newer[0])
			a.newer = a.newer[1:]
		}
		if len(moments) > 0 {
			sortNewestFirst(moments)
			return moments, nil
		}
	}
	return nil, nil
}

// look reads when the sessions were seen.
func (a *activity) look(ctx context.Context, keys reader) (moments []moment, err error) {
	for len(keys.rest) > 0 && err == nil {
		if key := string(keys.text()); !a.has(key) {
			moments, err = a.store.appendMoment(ctx, moments, key)
		}
	}
	return slices.DeleteFunc(moments, func(m moment) bool { return m.seen < a.since }), err
}

// has reports whether the session was found in an overlay.
func (a *activity) has(key string) bool {
	_, ok := a.seen[key]
	return ok
}
