package pgstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestCopy: sessions move from another store and back with all that they are.
func TestCopy(t *testing.T) {
	t.Parallel()
	from, through, to := livestore.New(), fresh(t), livestore.New()
	want := map[string]store.Record{}
	for range 500 {
		rec := create(t, from)
		want[rec.ID] = rec
	}
	n, err := store.Copy(t.Context(), from, through, store.CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, 500, n)
	n, err = store.Copy(t.Context(), through, to, store.CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, 500, n)
	for rec, err := range to.List(t.Context()) {
		require.NoError(t, err)
		rec.Revision, rec.WriteID = want[rec.ID].Revision, want[rec.ID].WriteID
		require.Equal(t, want[rec.ID], rec)
		delete(want, rec.ID)
	}
	require.Empty(t, want)
}
