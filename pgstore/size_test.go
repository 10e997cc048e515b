package pgstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestSizeOfASession: a session of 300 bytes of data takes as much of the disk as docs/postgres.md says, in
// the table and in its indexes.
func TestSizeOfASession(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	const sessions = 3000
	var recs []store.Record
	for range sessions {
		recs = append(recs, newRecord(func(rec *store.Record) {
			rec.Data = []byte(`{"a":"` + strings.Repeat("x", 292) + `"}`)
			rec.UserID, rec.Addr, rec.UserAgent = "user-"+rec.ClientID[:8], "192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"
		}))
	}
	for _, err := range together(sessions, func(i int) error {
		_, err := st.Set(t.Context(), recs[i])
		return err
	}) {
		require.NoError(t, err)
	}
	s.Exec(t, "VACUUM FULL "+quoted(schema)+".sessions") // pages that were added at once by several writers have room
	bytes := func(function string) int64 {
		return s.QueryInt(t, "SELECT "+function+"($1::regclass)", quoted(schema)+".sessions") / sessions
	}
	t.Logf("%d bytes in the table, %d in its indexes", bytes("pg_table_size"), bytes("pg_indexes_size"))
	require.Less(t, bytes("pg_table_size"), int64(950)) // 9 rows in a page of 8 KB, of which a fifth is free for updates
	require.Less(t, bytes("pg_indexes_size"), int64(500))
}

// TestStats: a transaction that is open for long keeps the old versions of sessions, and Stats says so.
func TestStats(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	rec := create(t, st)
	tx, err := connectTo(t, s).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), "SELECT")
	require.NoError(t, err)
	began := time.Now()
	for range 100 {
		rec.Revision, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
	}
	var stats pgstore.Stats
	require.Eventually(t, func() bool { // it counts what its processes report from time to time
		stats, err = st.Stats(t.Context())
		require.NoError(t, err)
		return stats.Dead >= 100
	}, patience, tick)
	require.GreaterOrEqual(t, stats.OldestTransaction, time.Since(began)-time.Second)
	require.GreaterOrEqual(t, stats.TableBytes, int64(8192))
	require.GreaterOrEqual(t, stats.IndexBytes, int64(5*8192))
	require.EqualValues(t, 1, stats.Sessions)
	require.NoError(t, tx.Rollback(t.Context()))

	s.Exec(t, "DROP SCHEMA "+quoted(schema)+" CASCADE")
	_, err = st.Stats(t.Context())
	require.ErrorIs(t, err, pgstore.ErrSchema)
}
