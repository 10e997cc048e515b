package teststore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Stored returns the record of a session.
func Stored(t testing.TB, st store.Store, id string) store.Record {
	t.Helper()
	rec, err := st.Get(t.Context(), id)
	require.NoError(t, err)
	return rec
}

// StoredCount returns the number of stored sessions.
func StoredCount(t testing.TB, st *livestore.Store) int {
	t.Helper()
	n := 0
	for _, err := range st.List(t.Context()) {
		require.NoError(t, err)
		n++
	}
	return n
}
