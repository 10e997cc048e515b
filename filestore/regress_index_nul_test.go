package filestore

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// Two users' entries are the same bytes. Destroying one session takes the other out of the index, and the store won't open any more.
func TestRegressNULCollision(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, err := Open(path, nil)
	require.NoError(t, err)
	_, err = st.Set(t.Context(), store.Record{ID: "\x00b", UserID: "a"})
	require.NoError(t, err)
	_, err = st.Set(t.Context(), store.Record{ID: "b", UserID: "a\x00"})
	require.NoError(t, err)
	require.NoError(t, st.engine.flush(t.Context(), false))
	_, err = st.Destroy(t.Context(), "\x00b")
	require.NoError(t, err)
	require.NoError(t, st.engine.flush(t.Context(), false))
	n := 0
	for _, err := range st.ByUser(t.Context(), "a\x00") {
		require.NoError(t, err)
		n++
	}
	if n != 1 {
		t.Errorf("ByUser misses the session")
	}
	require.NoError(t, st.Close())
	st, err = Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close())
}
