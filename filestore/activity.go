package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
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
	read := func(key []byte, id string) (active store.Active, err error) {
		err = s.look(key, func(v value) error {
			if v.expiry() <= now.UnixMicro() {
				return store.ErrNotFound
			}
			user, _ := v.owner()
			active = store.Active{ID: id, UserID: string(user)}
			return nil
		})
		return active, err
	}
	return each(ctx, s, s.activeKeys(ctx, since), read)
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

	newer   []moment            // in overlays, the last one first
	seen    map[string]struct{} // all keys in overlays
	minutes []minute            // in the index, the last one first
}

// minute is the index entries of a minute.
type minute struct {
	granule uint32
	keys    []byte // each after its length
}

// collect finds the sessions. A checkpoint moves entries of the index, so that a session is in
// neither place for a moment: it is in an overlay then, until the epoch ends.
func (a *activity) collect() error {
	for {
		epoch := a.store.engine.epoch.Load()
		a.newer, a.seen, a.minutes = nil, make(map[string]struct{}), nil
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
		granule := binary.BigEndian.Uint32(k)
		if n := len(a.minutes); n == 0 || a.minutes[n-1].granule != granule {
			a.minutes = append(a.minutes, minute{granule: granule})
		}
		m := &a.minutes[len(a.minutes)-1]
		key := k[seenKeyGranule:]
		m.keys = append(binary.AppendUvarint(m.keys, uint64(len(key))), key...)
	}
	return nil
}

// next returns the sessions of one more minute, or between two of them, the last one first. nil:
// there are no more.
func (a *activity) next(ctx context.Context) (moments []moment, err error) {
	for len(moments) == 0 && len(a.minutes)+len(a.newer) > 0 {
		from := int64(math.MinInt64)
		if len(a.minutes) > 0 {
			m := a.minutes[0]
			if a.minutes = a.minutes[1:]; m.granule > 0 { // the first minute includes all earlier times
				from = int64(m.granule) * granule
			}
			if moments, err = a.look(ctx, reader{rest: m.keys}); err != nil {
				return nil, err
			}
		}
		for len(a.newer) > 0 && a.newer[0].at >= from {
			moments = append(moments, a.newer[0])
			a.newer = a.newer[1:]
		}
	}
	if len(moments) == 0 {
		return nil, nil
	}
	sortNewestFirst(moments)
	return moments, nil
}

// look reads when the sessions were seen.
func (a *activity) look(ctx context.Context, r reader) ([]moment, error) {
	var keys []string
	for len(r.rest) > 0 {
		if key := string(r.text()); !a.has(key) {
			keys = append(keys, key)
		}
	}
	moments, err := a.store.moments(ctx, keys)
	return slices.DeleteFunc(moments, func(m moment) bool { return m.at < a.since }), err
}

// has reports whether the session was found in an overlay.
func (a *activity) has(key string) bool {
	_, ok := a.seen[key]
	return ok
}
