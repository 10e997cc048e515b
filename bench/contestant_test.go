package main

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// engines are all that take part, by name.
func engines() map[string]func(dir string) engine {
	return map[string]func(dir string) engine{
		"ours":            func(dir string) engine { return newOurs(dir, filestore.Options{}) },
		"raw log":         newRawLog,
		"bbolt one each":  ownTransaction,
		"bbolt Batch":     batched,
		"bbolt committer": committed,
		"Pebble":          newPebblePeer,
		"FilesystemStore": newGorillaFiles,
	}
}

// What an engine was told to store it has, and a set that didn't happen is found out.
func TestEnginesFindMissingSets(t *testing.T) {
	for name, make := range engines() {
		t.Run(name, func(t *testing.T) {
			const sessions = 20
			c := &contestant{name: name, make: make}
			require.NoError(t, c.ready(t.TempDir(), sessions, t.Output()))
			for n := range sessions {
				c.counts[n]++
				require.NoError(t, c.engine.set(n, c.counts[n]))
			}
			require.NoError(t, c.check())
			for n := range c.counts {
				c.counts[n]++
			}
			require.ErrorContains(t, c.check(), "there should be")
			require.NoError(t, c.engine.close())
		})
	}
}

// What was stored before the close is there after the next open.
func TestEnginesKeepWhatTheyStore(t *testing.T) {
	for name, make := range engines() {
		t.Run(name, func(t *testing.T) {
			c, dir := &contestant{name: name, make: make}, t.TempDir()
			crew := &crew{width: 3}
			for range 3 {
				require.NoError(t, c.ready(dir, 50, t.Output()))
				require.NoError(t, crew.work(5*time.Millisecond, func(worker int, rng *rand.Rand) error {
					n := crew.own(worker, len(c.counts), rng)
					c.counts[n]++
					return c.engine.set(n, c.counts[n])
				}))
				require.NoError(t, c.check())
				require.NoError(t, c.engine.close())
			}
		})
	}
}

func TestAPeersValueIsTheWholeRecord(t *testing.T) {
	rec := fileSession(7, 3, time.Now().UTC().Truncate(time.Microsecond))
	got, err := encode(&rec).decode(keyOf(7))
	require.NoError(t, err)
	rec.Revision++ // by being stored
	require.Equal(t, rec, got)

	_, err = encode(&rec)[:fixedPart-1].decode(keyOf(7))
	require.Error(t, err)
}

func TestWorkersShareOutTheSessions(t *testing.T) {
	crew := &crew{width: 7}
	owner := make([]atomic.Int64, 100)
	for worker := range crew.width {
		for nth := range uint64(1000) {
			n := crew.ownNth(worker, len(owner), nth)
			before := owner[n].Swap(int64(worker) + 1)
			require.Contains(t, []int64{0, int64(worker) + 1}, before)
		}
	}
	for n := range owner {
		require.Positive(t, owner[n].Load(), "session %d is nobody's", n)
	}
}

func TestWorkEndsWithTheFirstError(t *testing.T) {
	bad := errors.New("bad")
	crew := &crew{width: 4}
	err := crew.work(time.Millisecond, func(worker int, _ *rand.Rand) error {
		if worker == 0 { // which works at least once, however short the time
			return bad
		}
		return nil
	})
	require.ErrorIs(t, err, bad)
	require.ErrorIs(t, inParallel(1000, func(_, i int) error {
		if i == 600 {
			return bad
		}
		return nil
	}), bad)
}

func TestInParallelDoesEachOnce(t *testing.T) {
	done := make([]atomic.Int64, 1300)
	require.NoError(t, inParallel(len(done), func(_, i int) error {
		done[i].Add(1)
		return nil
	}))
	for i := range done {
		require.EqualValues(t, 1, done[i].Load())
	}
}
