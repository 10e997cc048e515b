package filestore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCheckpointsTakeMemoryForWhatTheyWrite: little for a few sessions, in few pieces for many.
func TestCheckpointsTakeMemoryForWhatTheyWrite(t *testing.T) {
	w := new(checkpointWriter)
	w.alloc(100)
	require.LessOrEqual(t, cap(w.arena), 16<<10)
	var first []byte
	pieces := 0
	for range 100_000 {
		before := cap(w.arena)
		b := append(w.alloc(100), make([]byte, 100)...)
		if first == nil {
			first = b
		}
		b[0] = 1
		if cap(w.arena) != before {
			pieces++
		}
		require.LessOrEqual(t, cap(w.arena), maxArenaChunk)
	}
	require.Less(t, pieces, 10)
	require.EqualValues(t, 1, first[0], "a piece stays as it is")
	require.GreaterOrEqual(t, cap(w.alloc(3*maxArenaChunk)), 3*maxArenaChunk)
}
