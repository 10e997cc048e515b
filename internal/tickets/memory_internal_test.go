package tickets

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func TestMemoryIsBoundedAndForgets(t *testing.T) {
	m, start := newMemory(), time.Now()
	for i := range MaxInMemory + 1 {
		_, err := m.Set(t.Context(), store.Record{ID: strconv.Itoa(i), Expires: start.Add(time.Duration(i))})
		require.NoError(t, err)
	}
	require.Len(t, m.order, MaxInMemory)
	require.Len(t, m.byID, MaxInMemory)
	_, err := m.Get(t.Context(), "0")
	require.ErrorIs(t, err, store.ErrNotFound, "another ticket has replaced the oldest")
	_, err = m.Set(t.Context(), store.Record{ID: "1"})
	require.ErrorIs(t, err, store.ErrConflict)

	for _, want := range []bool{true, false} {
		did, err := m.Destroy(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, want, did)
	}
	swept, err := m.Sweep(t.Context(), start.Add(10), 4)
	require.NoError(t, err)
	require.Equal(t, []string{"2", "3", "4", "5"}, ids(swept), "a redeemed ticket is not swept")
	swept, err = m.Sweep(t.Context(), start.Add(10), 100)
	require.NoError(t, err)
	require.Equal(t, []string{"6", "7", "8", "9", "10"}, ids(swept))
	swept, err = m.Sweep(t.Context(), start.Add(time.Hour), MaxInMemory)
	require.NoError(t, err)
	require.Len(t, swept, MaxInMemory-10)
	require.Empty(t, m.byID)
	require.Nil(t, m.order, "an empty memory holds nothing")
}

func ids(recs []store.Record) (list []string) {
	for _, rec := range recs {
		list = append(list, rec.ID)
	}
	return list
}
