package pgstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
)

// TestPlansThatWereMadeForEmptyTables: a connection that has used the store while nobody held anything
// finds the holders of a session by an index when there are many.
func TestPlansThatWereMadeForEmptyTables(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?pool_max_conns=1", &pgstore.Options{Schema: schema})
	rec := create(t, st)
	s.Exec(t, "ALTER TABLE "+quoted(schema)+".holdings SET (autovacuum_enabled = off)") // it would have plans made anew
	s.Exec(t, "VACUUM (ANALYZE) "+quoted(schema)+".holdings")
	for range 10 { // PostgreSQL keeps a plan after a few
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
	}
	s.Exec(t, "INSERT INTO "+quoted(schema)+
		".holdings SELECT '', 's', 'session ' || i, 'node' FROM generate_series(1, 20000) i")
	const writes = 5
	for range writes {
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
	}
	require.NoError(t, st.Close()) // its processes report their statistics at their end
	scans := func(column string) int64 {
		return s.QueryInt(t, "SELECT coalesce("+column+", 0) FROM pg_stat_user_tables "+
			"WHERE schemaname = $1 AND relname = 'holdings'", schema)
	}
	require.Eventually(t, func() bool { return scans("idx_scan") >= writes }, patience, tick)
	require.Less(t, scans("seq_tup_read"), int64(20000))
}
