package pgstore_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestWaitsForTransactionsUnderWay: Hold and LockUser return only after changes and kept messages that
// have begun before are visible.
func TestWaitsForTransactionsUnderWay(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?application_name=waiting", &pgstore.Options{Schema: schema})
	node, rec := watch(t, st), create(t, st)
	waits := map[string]func() error{
		"hold":      func() error { return node.Hold(t.Context(), rec.ID, "") },
		"hold kept": func() error { return node.Hold(t.Context(), "", store.KeptFor{UserID: "ada"}.Topic()) },
		"lock":      func() error { _, err := st.LockUser(t.Context(), "ada"); return err },
	}
	for name, begins := range map[string]string{
		"hold":      "SELECT " + quoted(schema) + ".end_session('x', '', '" + rec.ID + "', 0, '')",
		"hold kept": "SELECT " + quoted(schema) + ".keep_message('x', '', 'uada', '', 1000, 10, 1000, false, 'm')",
		"lock":      "SELECT " + quoted(schema) + ".locked('', 'ada')",
	} {
		tx, err := connectTo(t, s).Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), begins)
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- waits[name]() }()
		require.Eventually(t, func() bool { return waiting(t, s, "waiting") == 1 }, patience, tick, name)
		require.NoError(t, tx.Commit(context.WithoutCancel(t.Context())))
		require.NoError(t, <-done)
	}
}

// TestALogBeginsBeforeItsFirstMessageOrWithIt: to a reader who reads a log for the first time while its
// first message is being kept, that message comes, and none before it seems to be lost.
func TestALogBeginsBeforeItsFirstMessageOrWithIt(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?application_name=beginning", &pgstore.Options{Schema: schema})
	of := func(user string) store.KeptFor { return store.KeptFor{UserID: user} }
	check := func(user string, read store.Kept) {
		last := read.Last // what the reader has
		if len(read.Messages) > 0 {
			last = 0
		}
		kept, err := st.Kept(t.Context(), of(user), last)
		require.NoError(t, err)
		require.Len(t, kept.Messages, 1, "the message comes")
		require.Equal(t, last, kept.Messages[0].Prev, "no message before it is missing")
		require.Equal(t, kept.Messages[0].Number, kept.Last)
	}
	done := make(chan error, 2)
	keep := func(user string) {
		done <- st.Keep(t.Context(), of(user), store.KeptMessage{Data: []byte("m")}, keptLong)
	}
	begin := func() (tx pgx.Tx, commit func()) {
		tx, err := connectTo(t, s).Begin(t.Context())
		require.NoError(t, err)
		return tx, func() { require.NoError(t, tx.Commit(context.WithoutCancel(t.Context()))) }
	}

	// The message has its number, and isn't stored yet.
	tx, commit := begin()
	_, err := tx.Exec(t.Context(), "LOCK TABLE "+quoted(schema)+".kept IN SHARE MODE")
	require.NoError(t, err)
	go keep("ada")
	require.Eventually(t, func() bool { return waiting(t, s, "beginning") == 1 }, patience, tick)
	var read store.Kept
	go func() {
		var err error
		read, err = st.Kept(t.Context(), of("ada"), 0)
		done <- err
	}()
	require.Eventually(t, func() bool { return waiting(t, s, "beginning")+len(done) == 2 }, patience, tick)
	commit()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	check("ada", read)

	// The log has begun, and its transaction isn't over.
	tx, commit = begin()
	read = store.Kept{}
	require.NoError(t, tx.QueryRow(t.Context(),
		"SELECT last FROM "+quoted(schema)+".read_kept('', 'ubob', 0)").Scan(&read.Last))
	go keep("bob")
	require.Eventually(t, func() bool { return waiting(t, s, "beginning") == 1 }, patience, tick)
	commit()
	require.NoError(t, <-done)
	check("bob", read)
}

// waiting returns how many connections of that application wait for a lock.
func waiting(t *testing.T, s *pgtest.Server, application string) int {
	t.Helper()
	return int(s.QueryInt(t, `SELECT count(*) FROM pg_stat_activity
		WHERE application_name = $1 AND wait_event_type = 'Lock'`, application))
}
