package wal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplayReturnsTheGroupsInOrder(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(4096))
	require.NoError(t, appendGroup(l, "a", "b"))
	from := l.Position()
	require.NoError(t, appendGroup(l, "c"))
	require.NoError(t, l.Sync())
	require.Empty(t, l.unsynced)

	after := openLog(t, d.kill())
	entries, torn, err := replayed(after, l.ID(), 4096)
	require.NoError(t, err)
	require.Zero(t, torn)
	require.Equal(t, []string{"a", "b", "c"}, entries)
	require.Equal(t, l.Position(), after.Position())

	entries, _, err = replayed(openLog(t, d.kill()), l.ID(), from)
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, entries)

	require.NoError(t, appendGroup(after, "d"))
	require.NoError(t, after.Sync())
}

// The log continues in the other file, and returns to the first, whose groups are overwritten.
func TestRotateReusesTheFiles(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	var bases []Position
	for i := range 5 {
		bases = append(bases, l.Base())
		for l.Fits(100) {
			require.NoError(t, appendGroup(l, fmt.Sprintf("%d %s", i, strings.Repeat("x", 90))))
		}
		require.NoError(t, l.Rotate())
	}
	require.NoError(t, appendGroup(l, "last"))
	require.NoError(t, l.Sync())
	for _, name := range names {
		require.LessOrEqual(t, len(d.files[name].current), limit)
	}

	entries, _, err := replayed(openLog(t, d.kill()), l.ID(), bases[4])
	require.NoError(t, err)
	require.Equal(t, "last", entries[len(entries)-1])
	require.True(t, strings.HasPrefix(entries[0], "4 "))

	_, _, err = replayed(openLog(t, d.kill()), l.ID(), bases[3])
	var damaged *DamagedError
	require.ErrorAs(t, err, &damaged, "it was overwritten")
}

func TestAnotherLogIsNotReplayed(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	require.NoError(t, appendGroup(l, "old"))
	require.NoError(t, l.Sync())
	old := l.ID()
	l = openLog(t, d)
	require.NoError(t, l.Create(0))
	require.NotEqual(t, old, l.ID())
	entries, _, err := replayed(openLog(t, d.kill()), l.ID(), 0)
	require.NoError(t, err)
	require.Empty(t, entries)
	_, _, err = replayed(openLog(t, d.kill()), old, 0)
	var damaged *DamagedError
	require.ErrorAs(t, err, &damaged)
	require.EqualValues(t, -1, damaged.Offset)
}

func TestVerifyChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	require.NoError(t, appendGroup(l, "whole"))
	end := l.Used()
	require.NoError(t, appendGroup(l, "torn"))
	d.files["0"].current[end+50] ^= 1
	before := d.kill()

	var entries []string
	torn, err := openLog(t, d).Verify(l.ID(), 0, collect(&entries))
	require.NoError(t, err)
	require.Positive(t, torn)
	require.Equal(t, []string{"whole"}, entries)
	require.Equal(t, before.files["0"].current, d.files["0"].current)
}

// A failed group is undone: neither it nor what its sync may have left is replayed.
func TestRollbackUndoesAGroup(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	require.NoError(t, appendGroup(l, "first"))
	before := l.Savepoint()
	require.NoError(t, appendGroup(l, "undone"))
	d.fail = errDown
	require.ErrorIs(t, l.Sync(), errDown)
	l.Rollback(before)
	require.NoError(t, appendGroup(l, "second"))
	require.NoError(t, l.Sync())

	synced := newDisk()
	for name, f := range d.files {
		synced.files[name] = &memFile{disk: synced, durable: f.durable, current: f.durable}
	}
	entries, _, err := replayed(openLog(t, synced), l.ID(), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, entries, "what the failed sync has lost was written again")
}

func TestShrinkTruncatesTheUnusedFile(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := openLog(t, d)
	require.NoError(t, l.Create(0))
	require.NoError(t, appendGroup(l, "first"))
	require.NoError(t, l.Rotate())
	require.NoError(t, l.Shrink())
	require.Empty(t, d.files["0"].current)
	require.NotEmpty(t, d.files["1"].current)
}
