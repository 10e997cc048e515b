package filestore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGroupOfAnotherPastIsNotReplayed: a group that was torn is written anew, in the same place and as long as the one that was lost; what had followed that one stands where the next would
// be, of the same log, whole, at the right position. It isn't what happened after the new one.
func TestGroupOfAnotherPastIsNotReplayed(t *testing.T) {
	d := newCrashDisk(t, fastDir(t), nil)
	write := func(name string, keys ...string) (s *segment, ends []position) {
		s, err := openSegment(d, d.path()+name, 1<<20)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.file.Close()) })
		l := changeLog{id: 7, segments: [2]*segment{s, nil}}
		require.NoError(t, l.start(s, 0))
		for _, key := range keys {
			ends = append(ends, s.end)
			l.begin()
			l.destroy("", []byte(key))
			require.NoError(t, l.write())
		}
		return s, ends
	}
	lost, ends := write(".a", "first", "second")
	anew, again := write(".b", "other")
	require.Equal(t, ends[:1], again)
	require.Equal(t, ends[1], anew.end, "as long")
	group := make([]byte, anew.end-again[0])
	_, err := anew.file.ReadAt(group, int64(again[0]))
	require.NoError(t, err)
	sc, err := readSegment(lost, 7)
	require.NoError(t, err)
	require.Len(t, sc.groups, 3, "the one that begins the segment, and two")

	_, err = lost.file.WriteAt(group, int64(ends[0]))
	require.NoError(t, err)
	sc, err = readSegment(lost, 7)
	require.NoError(t, err)
	require.Len(t, sc.groups, 2)
	require.Equal(t, ends[1], lost.end)
}
