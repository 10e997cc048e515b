package filestore

import (
	"context"
	"encoding/binary"
	"iter"
	"maps"
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
	return each(ctx, s, s.activeKeys(ctx, since), func(key []byte, id string) (active store.Active, err error) {
		err = s.look(key, func(v value) error {
			if timeOf(v.seen()).Before(since) || v.expiry() <= now.UnixMicro() {
				return store.ErrNotFound
			}
			user, _ := v.owner()
			active = store.Active{ID: id, UserID: string(user)}
			return nil
		})
		return active, err
	})
}

// activeKeys returns the keys of the sessions that were seen since a moment, and of some that were
// seen earlier in its minute, the last one first. The keys are collected at once, because a session
// moves in the index when it is seen. The sessions are read minute by minute.
func (s *Store) activeKeys(ctx context.Context, since time.Time) keys {
	return func(fn func(key string) error) error {
		byMinute, err := s.keysByMinute(granuleOf(since.UnixMicro()))
		if err != nil {
			return err
		}
		minutes := slices.Sorted(maps.Keys(byMinute))
		for _, minute := range slices.Backward(minutes) {
			if err := s.newestFirst(ctx, byMinute[minute], fn); err != nil {
				return err
			}
			delete(byMinute, minute)
		}
		return nil
	}
}

// keysByMinute returns the keys of the sessions that were seen from a minute on. A checkpoint moves
// entries of the index, so that a session is in neither place for a moment: it is in an overlay
// then, and stays there until the epoch ends.
func (s *Store) keysByMinute(first uint32) (keys map[uint32][]string, err error) {
	for {
		epoch := s.engine.epoch.Load()
		keys = make(map[uint32][]string)
		err = s.engine.database.view(func(tx *bolt.Tx) error {
			newer := s.space.changes()
			for key, v := range newer {
				if v.value != nil && granuleOf(v.value.seen()) >= first {
					minute := granuleOf(v.value.seen())
					keys[minute] = append(keys[minute], key)
				}
			}
			for k := range keysFrom(tx, s.space.buckets.seen, binary.BigEndian.AppendUint32(nil, first)) {
				minute, key := binary.BigEndian.Uint32(k), string(k[seenKeyGranule:])
				if newer[key] == nil {
					keys[minute] = append(keys[minute], key)
				}
			}
			return nil
		})
		if err != nil || s.engine.epoch.Load() == epoch {
			return keys, err
		}
	}
}
