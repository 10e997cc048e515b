package pgstore_test

import (
	"strings"
	"testing"

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
