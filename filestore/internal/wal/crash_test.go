package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// history is what a writer has done to a log until the power was cut.
type history struct {
	id      ID
	begun   []string // entries in order
	synced  int      // how many of them were certainly durable
	applied Position // the caller doesn't need anything before it
	skipped int      // entries before it
}

// run creates or continues a log and writes to it until the disk is down. It syncs and rotates at
// random, as the engine does.
func (h *history) run(t *testing.T, d *disk, random *rand.Rand) {
	l := openLog(t, d)
	atBase := 0 // entries before the current file
	var err error
	if h.id == 0 {
		err = l.Create(0)
		h.id = l.ID()
	} else {
		var entries, current []string
		entries, _, err = replayed(l, h.id, h.applied)
		if err == nil {
			require.NoError(t, h.check(entries))
			h.begun = append(h.begun[:h.skipped:h.skipped], entries...)
			h.synced = len(h.begun)
			_, err = l.Verify(h.id, l.Base(), collect(&current))
			atBase = len(h.begun) - len(current)
		}
	}
	for err == nil {
		size := 1 + random.IntN(1500)
		if !l.Fits(size + 20) {
			if l.Base() > h.applied { // the other file is overwritten
				h.applied, h.skipped = l.Base(), atBase
			}
			if err = l.Rotate(); err == nil {
				h.synced, atBase = len(h.begun), len(h.begun)
			}
			continue
		}
		entry := fmt.Sprintf("%d %s", len(h.begun), strings.Repeat("x", size))
		h.begun = append(h.begun, entry)
		if err = appendGroup(l, entry); err == nil && random.IntN(3) > 0 {
			if err = l.Sync(); err == nil {
				h.synced = len(h.begun)
			}
		}
	}
	require.True(t, errors.Is(err, errDown), "%v", err)
}

// check returns an error unless the entries are those that were begun, and all that were synced.
func (h *history) check(entries []string) error {
	want := h.begun[h.skipped:]
	if len(entries) > len(want) || h.skipped+len(entries) < h.synced {
		return fmt.Errorf("%d entries are replayed; %d were begun, %d synced", h.skipped+len(entries), len(h.begun), h.synced)
	}
	for i, e := range entries {
		if e != want[i] {
			return fmt.Errorf("entry %d is another one", h.skipped+i)
		}
	}
	return nil
}

func seed(t *testing.T) uint64 {
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("FILESTORE_SEED"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("FILESTORE_SEED=%d repeats these crashes", n)
	return n
}

// TestSoakG8_Crash: wherever the process is killed or the power is cut, while the log is created,
// written, rotated or replayed: every group that was synced is replayed, in order, and nothing else
// but groups that were written. 500 crashes; with SOAK set 200,000.
func TestSoakG8_Crash(t *testing.T) {
	t.Parallel()
	crashes := 500
	if os.Getenv("SOAK") != "" {
		crashes = 200_000
	}
	random := rand.New(rand.NewPCG(seed(t), 0))
	for n := 0; n < crashes; {
		h, d := new(history), newDisk()
		for range 1 + random.IntN(10) {
			d.steps, d.downAt = 0, 2+random.IntN(60)
			if h.id == 0 {
				d.downAt += 20 // the log is created before the database refers to it
			}
			h.run(t, d, random)
			if n++; random.IntN(3) == 0 {
				d = d.kill()
			} else {
				d = d.crash(random)
			}
		}
	}
}

// TestG8_CrashWithoutSyncingLosesGroups is the control: on a disk that syncs nothing, the same
// crashes lose groups that were reported as synced.
func TestG8_CrashWithoutSyncingLosesGroups(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(seed(t), 0))
	lost := 0
	for range 100 {
		h, d := new(history), newDisk()
		d.lies, d.downAt = true, 30+random.IntN(60)
		h.run(t, d, random)
		entries, _, err := replayed(openLog(t, d.crash(random)), h.id, h.applied)
		if err != nil || h.check(entries) != nil {
			lost++
		}
	}
	require.Greater(t, lost, 20)
}

// TestG8_FlippedBitIsRefusedOrCostsTheUnsyncedTail: whichever bit of a log is flipped, the log is
// replayed as it was, or without its last group, of which nothing proves that it was synced; or
// replaying fails with the offset of the damage, and changes nothing.
func TestG8_FlippedBitIsRefusedOrCostsTheUnsyncedTail(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprint("entry ", i))
		require.NoError(t, appendGroup(l, want[i]))
		require.NoError(t, l.Sync())
	}
	var exact, shorter, refused int
	for at := range l.Used() + 64 {
		damagedDisk := d.kill()
		content := damagedDisk.files["0"].current
		content[at] ^= 1 << (at % 8)
		before := string(content)
		entries, _, err := replayed(openLog(t, damagedDisk), l.ID(), 0)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged):
			refused++
			require.Equal(t, "0", damaged.Path)
			require.LessOrEqual(t, damaged.Offset, at)
			require.Equal(t, before, string(damagedDisk.files["0"].current))
		case len(entries) == len(want):
			exact++
			require.NoError(t, err)
			require.Equal(t, want, entries)
		default:
			shorter++
			require.NoError(t, err)
			require.Equal(t, want[:len(want)-1], entries, "byte %d", at)
		}
	}
	t.Logf("%d flips are harmless, %d cost the last group, %d are refused", exact, shorter, refused)
	require.Positive(t, min(exact, shorter, refused))
}
