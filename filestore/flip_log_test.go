package filestore

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fillStore stores 30 sessions in two apps.
func fillStore(t *testing.T, st *Store) {
	t.Helper()
	for i := range 30 {
		key := sessionKey{modelApps[i%2], "own-" + strconv.Itoa(i)}
		_, err := appOf(st, key.app).Set(t.Context(), versionOf(key, smallVersion(key)))
		require.NoError(t, err)
	}
}

// smallVersion returns the number of a version with few data.
func smallVersion(key sessionKey) uint64 {
	number := uint64(1)
	for len(versionOf(key, number).Data) > 300 {
		number++
	}
	return number
}

// filledStore opens a store with sessions.
func filledStore(t *testing.T) (*crashDisk, *Store) {
	t.Helper()
	d := newCrashDisk(t, fastDir(t), nil)
	opts := smallOptions()
	st, err := open(d, d.path(), &opts)
	require.NoError(t, err)
	fillStore(t, st)
	return d, st
}

// closedImage is a store that was closed.
func closedImage(t *testing.T) image {
	t.Helper()
	d, st := filledStore(t)
	require.NoError(t, st.Close())
	img, err := d.current()
	require.NoError(t, err)
	return img
}

// killedImage is a store whose process was killed, with one half of the sessions in the database and the other in the log.
func killedImage(t *testing.T) image {
	t.Helper()
	d, st := filledStore(t)
	require.NoError(t, st.engine.flush(t.Context(), true))
	for i := range 15 {
		key := sessionKey{modelApps[i%2], "own-" + strconv.Itoa(i)}
		rec := versionOf(key, smallVersion(key))
		rec.Revision = 1
		_, err := appOf(st, key.app).Set(t.Context(), rec)
		require.NoError(t, err)
	}
	d.cutAt(1, 0)
	require.ErrorIs(t, st.Close(), errPowerCut)
	img, err := d.current()
	require.NoError(t, err)
	return img
}

// loggedStore is a store whose log holds one change after the other.
type loggedStore struct {
	img    image
	name   string     // of the segment
	groups []int64    // where each group ends; the first is the one that begins the segment
	states []contents // what the store holds with the changes of so many groups
	end    int64      // where the last write ended, which was to write another group and didn't come to its end
}

// newLoggedStore makes changes, one at a time, and a last one that is cut off in the middle.
func newLoggedStore(t *testing.T) *loggedStore {
	t.Helper()
	d := newCrashDisk(t, fastDir(t), nil)
	opts := smallOptions()
	opts.CheckpointEvery = time.Hour // all changes are in one file
	st, err := open(d, d.path(), &opts)
	require.NoError(t, err)
	l := &loggedStore{name: storeName + ".wal.0"}
	note := func(ok bool, problems []problem) {
		found, wrong := contentsOf(t.Context(), st)
		require.True(t, ok)
		require.Empty(t, append(problems, wrong...))
		l.states = append(l.states, found)
	}
	w := &writer{workload: &workload{ctx: t.Context(), m: newModel(), disk: d, st: st}}
	note(true, nil)
	for i := range 6 {
		key := sessionKey{modelApps[i%2], "own-" + strconv.Itoa(i%4)}
		switch i {
		case 4:
			note(w.destroy(key, 1, true), w.m.problems)
		case 5:
			note(w.set(key, 1, 1, true), w.m.problems)
		default:
			w.m.number = smallVersion(key) - 1
			note(w.set(key, 1, 0, true), w.m.problems)
		}
	}
	d.cutAt(1, 0.7)
	w.set(sessionKey{"", "own-9"}, 1, 0, true)
	require.ErrorIs(t, st.Close(), errPowerCut)
	l.img, err = d.current()
	require.NoError(t, err)
	l.findGroups(t)
	return l
}

func (l *loggedStore) findGroups(t *testing.T) {
	t.Helper()
	data := l.img[l.name].data
	at := int64(0)
	for size := groupSize(data); size > 0; size = groupSize(data[at:]) {
		at += size
		l.groups = append(l.groups, at)
	}
	require.Len(t, l.groups, len(l.states), "each change is a group of its own")
	for l.end = int64(len(data)); data[l.end-1] == 0; l.end-- {
	}
	require.Greater(t, l.end, at, "part of another was written")
}

// groupSize returns the size of the group that begins b, 0 if it isn't whole: see the log in
// docs/filestore.md.
func groupSize(b []byte) int64 {
	const header = 48
	if len(b) < header || string(b[:4]) != "sbg1" {
		return 0
	}
	length := int(binary.LittleEndian.Uint32(b[4:]))
	if length > len(b)-header {
		return 0
	}
	sum := crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[header:header+length])
	if sum != binary.LittleEndian.Uint32(b[44:]) {
		return 0
	}
	return int64(header+length+7) &^ 7
}

// whole returns how many groups end at or before the offset.
func (l *loggedStore) whole(at int64) int {
	n := 0
	for n < len(l.groups) && l.groups[n] <= at {
		n++
	}
	return n
}

// TestSoakG8_FlippedLog: with any bit of the log changed, the store holds exactly what it did, or is refused. But of the last group nobody can
// tell whether it was ever finished: without it, the store holds what was there before.
func TestSoakG8_FlippedLog(t *testing.T) {
	l := newLoggedStore(t)
	d := &damage{t: t, img: l.img, random: rand.New(rand.NewPCG(soakSeed(t), 0))}
	last := len(l.groups) - 1
	require.True(t, equalContents(l.states[last], d.open(l.img, "as it was")))
	for at := int64(0); at < l.end+100; at += d.stride(l.end, 100) {
		bit := d.anyBit()
		found := d.open(d.flipped(l.name, at, bit), "bit %d of byte %d is flipped", bit, at)
		switch {
		case found == nil:
		case equalContents(l.states[last], found):
			d.exact++
		default:
			require.Equal(t, last, l.whole(at), "bit %d of byte %d, in an early group, is flipped, and the store holds something else", bit, at)
			require.True(t, equalContents(l.states[last-1], found), "bit %d of byte %d is flipped: not what was there before the last change", bit, at)
			d.prefix++
		}
	}
	t.Logf("%d bytes: %d flips are harmless, %d cost the last change, %d are refused", l.end, d.exact, d.prefix, d.refused)
	require.Positive(t, min(d.exact, d.prefix, d.refused))
}

// TestSoakG8_CutLog: a log that was cut off holds what was whole before the cut, or is refused.
func TestSoakG8_CutLog(t *testing.T) {
	l := newLoggedStore(t)
	d := &damage{t: t, img: l.img, random: rand.New(rand.NewPCG(soakSeed(t), 0))}
	for size := int64(0); size < l.end+100; size += d.stride(l.end, 60) {
		found := d.open(d.cut(l.name, size), "cut at %d", size)
		if whole := l.whole(size); found != nil {
			require.Positive(t, whole, "cut at %d, in the group that begins the log: the store must not open", size)
			if whole < len(l.groups) && l.groups[whole]-size < 8 && equalContents(l.states[whole], found) {
				whole++ // only the padding was cut off
			}
			require.True(t, equalContents(l.states[whole-1], found), "cut at %d: not what was there after %d changes", size, whole-1)
			d.prefix++
		}
	}
	t.Logf("%d bytes: %d cuts cost what was behind them, %d are refused", l.end, d.prefix, d.refused)
	require.Positive(t, min(d.prefix, d.refused))
}
