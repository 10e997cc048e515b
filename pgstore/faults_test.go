package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// blocked is a store of a session whose row another transaction has locked until the test calls
// unlock.
func blocked(t *testing.T, opts pgstore.Options) (st *pgstore.Store, rec store.Record, unlock func()) {
	t.Helper()
	s := server.Server(t)
	opts.Schema = newSchema()
	st = open(t, s.URL()+"?pool_max_conns=2", &opts)
	rec = create(t, st)
	pool := connectTo(t, s)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM "+quoted(opts.Schema)+".sessions FOR UPDATE")
	require.NoError(t, err)
	return st, rec, func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }
}

// TestTimeout: an operation ends after Options.Timeout, and the next one works.
func TestTimeout(t *testing.T) {
	t.Parallel()
	st, rec, unlock := blocked(t, pgstore.Options{Timeout: 300 * time.Millisecond})
	_, err := st.Set(t.Context(), rec)
	require.ErrorIs(t, err, pgstore.ErrTimeout)
	unlock()
	require.Eventually(t, func() bool {
		_, err := st.Set(t.Context(), rec)
		return err == nil
	}, patience, tick)
}

// TestClientThatGoesAway: the end of a context cancels its statement, and keeps the connection.
func TestClientThatGoesAway(t *testing.T) {
	t.Parallel()
	st, rec, unlock := blocked(t, pgstore.Options{})
	defer unlock()
	cause := errors.New("the client went away")
	for range 5 {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		_, err := st.Set(ctx, rec)
		require.ErrorIs(t, err, cause)
	}
	_, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.LessOrEqual(t, pgstore.NewConnections(st), int64(2), "the connections are used again")
}

// TestCancelThatIsMeantForAnother: the request to cancel the statement of a client that went away may arrive
// when the next statement is executed on the connection, which does not fail.
func TestCancelThatIsMeantForAnother(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?application_name=cancelled", &pgstore.Options{Schema: schema})
	rec := create(t, st)
	tx, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM "+quoted(schema)+".sessions FOR UPDATE")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { _, err := st.Set(t.Context(), rec); done <- err }()
	require.Eventually(t, func() bool { return waiting(t, s, "cancelled") == 1 }, patience, tick)
	s.Exec(t, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'cancelled'")
	require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context())))
	require.NoError(t, <-done)
	got, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec.Revision+1, got.Revision)
}

// TestConnectionsThatAreClosed: all connections of the pool are closed, and no operation fails that
// hasn't begun.
func TestConnectionsThatAreClosed(t *testing.T) {
	t.Parallel()
	s := server.Server(t)
	st := open(t, s.URL()+"?pool_max_conns=4&application_name=closed", &pgstore.Options{Schema: newSchema()})
	rec := create(t, st)
	const all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'closed'"
	for range 3 {
		s.Exec(t, all)
		require.Eventually(t, func() bool {
			got, err := st.Get(t.Context(), rec.ID)
			return err == nil && got.Revision == rec.Revision
		}, patience, tick)
	}
}

// TestNamesThatAreNotText: PostgreSQL can't store them. They are no session, user or client, and never
// an error of the store.
func TestNamesThatAreNotText(t *testing.T) {
	t.Parallel()
	st := fresh(t)
	kept := create(t, st)
	node := watch(t, st)
	for _, name := range []string{"a\x00b", "\xff", "a\xc3"} {
		ctx := t.Context()
		_, err := st.Get(ctx, name)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, st.Touch(ctx, name, time.Now()), store.ErrNotFound)
		was, err := st.Destroy(ctx, name)
		require.NoError(t, err)
		require.False(t, was)
		for _, change := range []func(*store.Record){
			func(rec *store.Record) { rec.ID = name },
			func(rec *store.Record) { rec.UserID = name },
			func(rec *store.Record) { rec.ClientID = name },
		} {
			_, err = st.Set(ctx, newRecord(change))
			require.ErrorIs(t, err, pgstore.ErrText)
		}
		for _, err := range st.ByUser(ctx, name) {
			require.NoError(t, err)
		}
		recs, err := st.NewestByClient(ctx, name, 3)
		require.NoError(t, err)
		require.Empty(t, recs)
		_, err = st.LockUser(ctx, name)
		require.ErrorIs(t, err, pgstore.ErrText)
		node.hold(name, name)
		require.NoError(t, node.Release(ctx, name, name))
		_, err = st.App(name).Get(ctx, kept.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		for _, err := range st.App(name).(*pgstore.Store).List(ctx) {
			require.Fail(t, "it has no sessions", "%v", err)
		}
		_, err = st.End(ctx, kept.ID, "reason "+name, 1000)
		require.ErrorIs(t, err, store.ErrConflict)
	}
	odd := create(t, st, func(rec *store.Record) { rec.UserAgent, rec.Addr = "caf\xe9\x00", "\xff" })
	got, err := st.Get(t.Context(), odd.ID)
	require.NoError(t, err)
	require.Equal(t, odd, got, "a browser may send any user agent")
}

// TestStorePrintsNothing: not even with %#v.
func TestStorePrintsNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, "pgstore.Store", fmt.Sprintf("%#v", fresh(t)))
}

// TestUpdatesChangeNoIndex: touches and ordinary writes are HOT updates. A sweep that finds that a
// session expires later than it was due doesn't remove it.
func TestUpdatesChangeNoIndex(t *testing.T) {
	t.Parallel()
	s, schema := pgtest.Start(t), newSchema() // transactions of other tests would keep old versions, so that pages get full
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	hour := time.Now().Truncate(time.Hour)
	rec := create(t, st, func(rec *store.Record) { rec.Seen, rec.Expires = hour, hour.Add(time.Hour) })
	const writes = 50
	for i := range writes {
		rec.Seen, rec.Expires = rec.Seen.Add(time.Second), rec.Expires.Add(time.Second)
		if i%2 == 0 {
			require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen))
			continue
		}
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
	}
	count := func(column string) int64 {
		return s.QueryInt(t, "SELECT "+column+" FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'sessions'", schema)
	}
	require.NoError(t, st.Close()) // its processes report their statistics at their end
	require.Eventually(t, func() bool { return count("n_tup_upd") == writes }, patience, tick)
	require.EqualValues(t, writes, count("n_tup_hot_upd"))
}

// TestSweepMovesWhatIsDueLater: each touched session is looked at once, not by every sweep.
func TestSweepMovesWhatIsDueLater(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	now := time.Now().UTC().Truncate(time.Millisecond)
	for range 10 {
		rec := create(t, st, func(rec *store.Record) { rec.Seen, rec.Expires = now, now.Add(time.Second) })
		require.NoError(t, st.Touch(t.Context(), rec.ID, now.Add(time.Hour)))
	}
	due := func() int64 {
		return s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+".sessions WHERE due <= $1",
			now.Add(time.Minute).UnixMicro())
	}
	require.EqualValues(t, 10, due())
	swept, err := st.Sweep(t.Context(), now.Add(time.Minute), 100)
	require.NoError(t, err)
	require.Empty(t, swept)
	require.Zero(t, due())
}

// TestLockThatIsLost: unlock reports it.
func TestLockThatIsLost(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	unlock, err := st.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	s.Exec(t, "DELETE FROM "+quoted(schema)+".user_locks")
	require.ErrorIs(t, unlock(t.Context()), pgstore.ErrLockLost)
	require.NoError(t, unlock(t.Context()), "again")
}

// TestLockWaitsForLogins: a login that was admitted before the lock is visible when LockUser returns.
func TestLockWaitsForLogins(t *testing.T) {
	t.Parallel()
	st := fresh(t)
	for i := range 30 {
		user := fmt.Sprint("user-", i)
		logins := make(chan error, 8)
		for range cap(logins) {
			go func() {
				_, err := st.Set(t.Context(), newRecord(func(rec *store.Record) { rec.UserID = user }))
				logins <- err
			}()
		}
		unlock, err := st.LockUser(t.Context(), user)
		require.NoError(t, err)
		found := 0
		for _, err := range st.ByUser(t.Context(), user) {
			require.NoError(t, err)
			found++
		}
		admitted := 0
		for range cap(logins) {
			if err := <-logins; err == nil {
				admitted++
			} else {
				require.ErrorIs(t, err, store.ErrBusy)
			}
		}
		require.Equal(t, found, admitted)
		require.NoError(t, unlock(t.Context()))
	}
}
