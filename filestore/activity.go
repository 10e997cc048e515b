package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// activity is an iteration through the sessions that were seen since a moment, from the last back. What the database's index has is
// collected at once, because a session moves in it when it is seen; the sessions themselves are looked at minute by minute.
type activity struct {
	store *Store
	since int64

	newer  []moment            // in overlays, the last seen first
	seen   map[string]struct{} // those in overlays, whenever they were seen
	keys   []byte              // of those in the index, each with its length before it
	starts []int               // where the keys of a minute start, the last minute first
	minute []uint32
}

// collect finds the sessions. A checkpoint moves entries of the index, so that for a moment a session is at neither place: it is in an
// overlay then, until the epoch ends.
func (a *activity) collect() error {
	for {
		epoch := a.store.engine.epoch.Load()
		a.keys, a.starts, a.minute = nil, nil, nil
		a.newer, a.seen = nil, make(map[string]struct{})
		a.collectNewer() // before the database: what leaves the overlays is there by then
		if err := a.store.engine.home.view(a.collectIndex); err != nil {
			return err
		}
		a.collectNewer() // and after: what is being moved there now has come into them meanwhile
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
			if _, ok := a.seen[key]; ok {
				return // the active overlay knows better
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

// next returns the sessions of one more minute, or between minutes, the last seen first. nil: that were all.
func (a *activity) next(ctx context.Context) ([]moment, error) {
	for len(a.minute) > 0 || len(a.newer) > 0 {
		var moments []moment
		from := int64(noMinute)
		if len(a.minute) > 0 {
			end := len(a.keys)
			if len(a.starts) > 1 {
				end = a.starts[1]
			}
			from = int64(a.minute[0]) * granule
			if a.minute[0] == 0 {
				from = noMinute // it has all that is before, too
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

// noMinute is before all of them.
const noMinute = -1 << 63

// look finds out when the sessions were seen.
func (a *activity) look(ctx context.Context, keys reader) (moments []moment, err error) {
	for len(keys.rest) > 0 {
		key := keys.text()
		if _, ok := a.seen[string(key)]; ok {
			continue
		}
		seen, err := a.store.seen(key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = a.store.ready(ctx)
		}
		if err != nil {
			return nil, err
		}
		if seen >= a.since {
			moments = append(moments, moment{seen, string(key)})
		}
	}
	return moments, nil
}
