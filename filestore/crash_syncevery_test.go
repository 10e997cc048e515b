package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unsynced returns how many changes of files a power cut could lose.
func (d *crashDisk) unsynced() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, inode := range d.names {
		n += len(inode.pending)
	}
	return n
}

// TestG8_SyncEverySyncsWhenNothingElseHappens: what was acknowledged is durable after SyncEvery, although nobody asks for anything more.
func TestG8_SyncEverySyncsWhenNothingElseHappens(t *testing.T) {
	opts := smallOptions()
	opts.CheckpointEvery = time.Hour
	key := sessionKey{"", "own-0"}
	for _, every := range []time.Duration{20 * time.Millisecond, time.Hour} {
		opts.SyncEvery = every
		c := newChain(t, 1, opts, false)
		st, ok := c.open()
		require.True(t, ok)
		w := &writer{workload: &workload{ctx: t.Context(), m: c.m, disk: c.disk, st: st}}
		require.True(t, w.set(key, 1, 0, true))
		if every == time.Hour {
			require.Positive(t, c.disk.unsynced(), "it isn't synced before it is time")
			c.close(st)
			require.True(t, c.check(c.disk.synced(), nil), "Close makes it durable: %v", c.m.problems)
			continue
		}
		require.Eventually(t, func() bool { return c.disk.unsynced() == 0 }, 10*time.Second, time.Millisecond)
		synced := c.disk.synced()
		c.m.closed() // nothing may be missing
		require.True(t, c.check(synced, nil), "%v", c.m.problems)
		c.close(st)
	}
}
