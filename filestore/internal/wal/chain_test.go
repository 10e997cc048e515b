package wal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestG8_GroupOfAnotherPastIsNotReplayed: a group that was torn is written anew, at the same
// position and with the same length as the one that was lost. What had followed that one stands
// where the next group would be, whole and at the right position, but it isn't what happened after
// the new group.
func TestG8_GroupOfAnotherPastIsNotReplayed(t *testing.T) {
	t.Parallel()
	d := newDisk()
	write := func(name string, keys ...string) (s *segment, ends []Position) {
		s, err := openSegment(&Config{Open: d.open, Limit: 1 << 20}, name)
		require.NoError(t, err)
		l := Log{id: 7, segments: [2]*segment{s, nil}}
		require.NoError(t, l.start(s, 0))
		for _, key := range keys {
			ends = append(ends, s.end)
			require.NoError(t, appendGroup(&l, key))
		}
		return s, ends
	}
	lost, ends := write("a", "first", "second")
	anew, again := write("b", "other")
	require.Equal(t, ends[:1], again)
	require.Equal(t, ends[1], anew.end, "the same length")
	group := make([]byte, anew.end-again[0])
	_, err := anew.file.ReadAt(group, int64(again[0]))
	require.NoError(t, err)
	sc, err := scanSegment(lost, 7)
	require.NoError(t, err)
	require.Len(t, sc.groups, 3, "the one that begins the segment, and two")

	_, err = lost.file.WriteAt(group, int64(ends[0]))
	require.NoError(t, err)
	sc, err = scanSegment(lost, 7)
	require.NoError(t, err)
	require.Len(t, sc.groups, 2)
	require.Equal(t, ends[1], lost.end)
}
