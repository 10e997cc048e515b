package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestWaitReplicas: changes that must not be undone have reached the replicas when the call
// returns, or it returns ErrReplicas. Other changes don't wait.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, "replicaof "+host+" "+port)
	require.Eventually(t, func() bool { return replica.Info("replication")["master_link_status"] == "up" }, patience, tick)
	st := open(t, master.URL(), &redisstore.Options{WaitReplicas: 1, Timeout: 2 * time.Second})
	copied := func(id string) bool { return mustInt(t, replica, "EXISTS", "sb:{0}:s"+codec.Member(id)) == 1 }
	for range 20 {
		rec := newRecord()
		var err error
		rec.Revision, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
		require.True(t, copied(rec.ID))
		rec.TokenHash[0]++
		rec.Revision, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
		was, err := st.End(t.Context(), rec.ID, "", rec.Revision)
		require.NoError(t, err)
		require.True(t, was)
		require.False(t, copied(rec.ID))
	}

	rec := newRecord()
	var err error
	rec.Revision, err = st.Set(t.Context(), rec)
	require.NoError(t, err)
	replica.Pause()
	defer replica.Resume()
	rec.Data = []byte(`{"n":1}`)
	rec.Revision, err = st.Set(t.Context(), rec)
	require.NoError(t, err, "an update of the data doesn't wait")
	_, err = st.Destroy(t.Context(), rec.ID)
	require.ErrorIs(t, err, redisstore.ErrReplicas)
	require.NotErrorIs(t, err, store.ErrNotFound)
	_, err = st.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "the session is destroyed nevertheless")
}

func mustInt(t *testing.T, s *redistest.Server, command ...string) int64 {
	t.Helper()
	answer := s.Do(command...)
	n, err := answer.AsInt64()
	require.NoError(t, err)
	return n
}
