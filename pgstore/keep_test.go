package pgstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// keptLong are limits that no test reaches.
var keptLong = store.KeepLimits{For: time.Hour, Messages: 1000, Bytes: 1 << 20}

// TestKeptMessagesAreRemoved: when their time is over, without an end of their session or another
// message. One that is kept for a shorter time than those before it stays until they are removed, so that
// the limits count what there is.
func TestKeptMessagesAreRemoved(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	short := keptLong
	short.For = time.Millisecond
	ada, bob := store.KeptFor{UserID: "ada"}, store.KeptFor{UserID: "bob"}
	for _, m := range []struct {
		to     store.KeptFor
		limits store.KeepLimits
	}{{ada, keptLong}, {ada, short}, {bob, short}, {bob, short}} {
		require.NoError(t, st.Keep(t.Context(), m.to, store.KeptMessage{Data: []byte("m")}, m.limits))
	}
	rows := func(table, topic string) int64 {
		return s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+"."+table+" WHERE topic = $1", topic)
	}
	require.Eventually(t, func() bool {
		s.Exec(t, "SELECT "+quoted(schema)+".tidy_kept(100)")
		return rows("kept", "ubob") == 0
	}, patience, tick)
	require.EqualValues(t, 1, rows("kept_logs", "ubob"), "a reader learns what it has missed")
	require.EqualValues(t, 2, rows("kept", "uada"))
	kept, err := st.Kept(t.Context(), ada, 0)
	require.NoError(t, err)
	require.Len(t, kept.Messages, 1)

	s.Exec(t, "UPDATE "+quoted(schema)+".kept_logs SET until = 0; SELECT "+quoted(schema)+".tidy_kept(100)")
	require.Zero(t, rows("kept_logs", "ubob"))
}

// TestMessagesAreKeptOrTheSessionHasEnded: a message for a session that ends at the same time is not left
// behind.
func TestMessagesAreKeptOrTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	for range 50 {
		rec := create(t, st)
		to := store.KeptFor{SessionID: rec.ID}
		kept := make(chan error, 4)
		for range cap(kept) {
			go func() { kept <- st.Keep(t.Context(), to, store.KeptMessage{Data: []byte("m")}, keptLong) }()
		}
		was, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
		require.True(t, was)
		for range cap(kept) {
			if err := <-kept; !errors.Is(err, store.ErrNotFound) {
				require.NoError(t, err)
			}
		}
	}
	require.Zero(t, s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+".kept"))
	require.Zero(t, s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+".kept_logs"))
}

// TestMessagesForNamesThatAreNotText are refused.
func TestMessagesForNamesThatAreNotText(t *testing.T) {
	t.Parallel()
	st, m := fresh(t), store.KeptMessage{Data: []byte("m")}
	require.ErrorIs(t, st.Keep(t.Context(), store.KeptFor{UserID: "a\x00b"}, m, keptLong), pgstore.ErrText)
	require.ErrorIs(t, st.Keep(t.Context(), store.KeptFor{SessionID: "\xff"}, m, keptLong), store.ErrNotFound)
	_, err := st.Kept(t.Context(), store.KeptFor{UserID: "\xff"}, 0)
	require.ErrorIs(t, err, pgstore.ErrText)
}
