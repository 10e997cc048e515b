package pgstore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

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
		require.Eventually(t, func() bool {
			return s.QueryInt(t, `SELECT count(*) FROM pg_stat_activity
				WHERE application_name = 'waiting' AND wait_event_type = 'Lock'`) == 1
		}, patience, tick, name)
		require.NoError(t, tx.Commit(context.WithoutCancel(t.Context())))
		require.NoError(t, <-done)
	}
}
