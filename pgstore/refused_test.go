package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// refuse makes PostgreSQL fail the next n changes of sessions with an error of that code.
func refuse(t *testing.T, s *pgtest.Server, schema, code string, n int) {
	t.Helper()
	s.Exec(t, strings.NewReplacer("{schema}", quoted(schema), "{code}", code, "{n}", fmt.Sprint(n)).Replace(`
		CREATE SEQUENCE IF NOT EXISTS {schema}.attempts; ALTER SEQUENCE {schema}.attempts RESTART;
		CREATE OR REPLACE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('{schema}.attempts') <= {n} THEN
				RAISE EXCEPTION 'no' USING ERRCODE = '{code}';
			END IF;
			RETURN NEW;
		END $$;
		CREATE OR REPLACE TRIGGER refuse AFTER INSERT OR UPDATE ON {schema}.sessions
			FOR EACH ROW EXECUTE FUNCTION {schema}.refuse()`))
}

// plainSchema returns a new schema whose name may be in a literal.
func plainSchema() string { return "plain" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// TestErrorsOfTheServer: errors.Is tells what PostgreSQL refuses. Nothing has been changed, and the
// same write succeeds afterwards.
func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), plainSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	rec := create(t, st)
	for code, want := range map[string]error{
		"53100": pgstore.ErrFull, "53300": pgstore.ErrFull, "53200": pgstore.ErrFull, "42501": pgstore.ErrDenied,
		"40001": pgstore.ErrAborted, "40P01": pgstore.ErrAborted, "25006": pgstore.ErrServer,
		"57014": pgstore.ErrTimeout, "55P03": pgstore.ErrTimeout, "42P01": pgstore.ErrSchema,
	} {
		refuse(t, s, schema, code, 100)
		_, err := st.Set(t.Context(), rec)
		require.ErrorIs(t, err, want, code)
		created := newRecord()
		_, err = st.Set(t.Context(), created)
		require.ErrorIs(t, err, want, code)
		refuse(t, s, schema, code, 0)
		_, err = st.Get(t.Context(), created.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		got, err := st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec, got)
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		require.Equal(t, rec.Revision+1, revision)
		rec.Revision = revision
	}
}

// TestAbortedStatementsAreExecutedAgain: a statement that PostgreSQL has undone because of others
// succeeds, once.
func TestAbortedStatementsAreExecutedAgain(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), plainSchema()
	st := open(t, s.URL(), &pgstore.Options{Schema: schema})
	rec := create(t, st)
	for _, code := range []string{"40001", "40P01"} {
		refuse(t, s, schema, code, 3)
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		require.Equal(t, rec.Revision+1, revision)
		rec.Revision = revision
		got, err := st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec, got)
	}
}

// TestDeadlock: of two transactions that wait for each other PostgreSQL aborts that of the store, which
// then ends the session nevertheless, and notifies its holder once.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?deadlock_timeout=50ms&application_name=deadlocked", &pgstore.Options{Schema: schema})
	holder, rec := watch(t, st), create(t, st)
	holder.hold(rec.ID, "")
	s.Exec(t, strings.ReplaceAll(`CREATE FUNCTION {schema}.wait() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_advisory_xact_lock(20261130); RETURN NULL; END $$;
		CREATE TRIGGER wait AFTER DELETE ON {schema}.sessions FOR EACH ROW EXECUTE FUNCTION {schema}.wait()`, "{schema}", quoted(schema)))
	waiting := func(name string) {
		require.Eventually(t, func() bool {
			return s.QueryInt(t, `SELECT count(*) FROM pg_stat_activity
				WHERE application_name = $1 AND wait_event_type = 'Lock'`, name) == 1
		}, patience, tick)
	}
	gate, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), "SELECT pg_advisory_xact_lock(20261130)")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		was, err := st.Destroy(t.Context(), rec.ID)
		if err == nil && !was {
			err = store.ErrNotFound
		}
		ended <- err
	}()
	waiting("deadlocked") // it has removed the session, but not who holds it

	other, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "SET LOCAL deadlock_timeout = '1min'; SET LOCAL application_name = 'other'; "+
		"SELECT FROM "+quoted(schema)+".holdings FOR UPDATE")
	require.NoError(t, err)
	locked := make(chan error, 1)
	go func() {
		_, err := other.Exec(t.Context(), "SELECT FROM "+quoted(schema)+".sessions FOR UPDATE")
		locked <- err
	}()
	waiting("other")
	require.NoError(t, gate.Commit(t.Context()))
	require.NoError(t, <-locked, "the store's transaction is the one that was aborted")
	require.NoError(t, other.Commit(t.Context()))
	require.NoError(t, <-ended)
	holder.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID})
	require.EqualValues(t, 0, s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+".inbox WHERE id = $1", rec.ID))
}

// TestSerializationFailures: a database that is switched to serializable transactions while the store
// is open aborts one of two writers. It finds out that the other one has won.
func TestSerializationFailures(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(server.Server(t).URL())
	require.NoError(t, err)
	var strict atomic.Bool
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) (err error) {
		if strict.Load() {
			_, err = conn.Exec(ctx, "SET default_transaction_isolation = 'repeatable read'")
		}
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	st, err := pgstore.New(t.Context(), pool, &pgstore.Options{Schema: newSchema(), Timeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	rec := create(t, st)
	strict.Store(true)
	pool.Reset()
	const writers, rounds = 4, 20
	for range rounds {
		results := make(chan error, writers)
		for range writers {
			go func() {
				_, err := st.Set(t.Context(), rec)
				results <- err
			}()
		}
		won := 0
		for range writers {
			if err := <-results; err == nil {
				won++
			} else {
				require.ErrorIs(t, err, store.ErrConflict)
			}
		}
		require.Equal(t, 1, won)
		rec.Revision++
	}
	got, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec, got, "each round has written once")
}

// TestStatementTimeout: PostgreSQL's own limit is a timeout, too.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	s, opts := server.Server(t), pgstore.Options{Schema: newSchema()}
	rec := create(t, open(t, s.URL(), &opts)) // which may take longer than the limit
	opts.NoMigrate = true
	st := open(t, s.URL()+"?statement_timeout=100ms", &opts)
	tx, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM "+quoted(opts.Schema)+".sessions FOR UPDATE")
	require.NoError(t, err)
	_, err = st.Set(t.Context(), rec)
	require.ErrorIs(t, err, pgstore.ErrTimeout)
	require.ErrorContains(t, err, "statement_timeout")
	require.NoError(t, tx.Rollback(t.Context()))
	require.Eventually(t, func() bool { // on a busy machine 100 ms may be short for a write, too
		revision, err := st.Set(t.Context(), rec)
		return err == nil && revision == rec.Revision+1
	}, patience, tick)
}

// TestFullDisk: writes fail, reads and ends of sessions don't. Once there is space again, writes succeed.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	disk := s.SmallDisk(t)
	s.Exec(t, "CREATE TABLESPACE small LOCATION '"+disk+"'")
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	st := open(t, s.URL()+"?default_tablespace=small", nil)
	big := make([]byte, 60_000) // doesn't get smaller by compression
	for i := range big {
		big[i] = "0123456789abcdef"[uint32(i*i*2654435761)>>28] //nolint:gosec // any
	}
	var recs []store.Record
	var failure error
	for failure == nil {
		rec := newRecord(func(rec *store.Record) { rec.Data = []byte(`{"a":"` + string(big) + `"}`) })
		if rec.Revision, failure = st.Set(t.Context(), rec); failure == nil {
			recs = append(recs, rec)
		}
		require.Less(t, len(recs), 1000, "the disk isn't full")
	}
	require.ErrorIs(t, failure, pgstore.ErrFull)
	require.Greater(t, len(recs), 10)
	for _, rec := range recs {
		got, err := st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec, got)
	}
	for _, rec := range recs[1:] {
		was, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
		require.True(t, was)
	}
	require.NoError(t, os.Remove(ballast))
	require.NoError(t, st.Optimize(t.Context()))
	revision, err := st.Set(t.Context(), recs[0])
	require.NoError(t, err)
	require.Equal(t, recs[0].Revision+1, revision)
}

// TestStandbyThatIsPromoted: the store moves to the new primary, which has all that it has received.
// Nodes join again there.
func TestStandbyThatIsPromoted(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t)
	before := open(t, primary.URL(), nil)
	standby := pgtest.StartStandby(t, primary)
	rec := create(t, before)
	standby.CatchUp(t, primary)
	readOnly := open(t, standby.URL(), nil)
	_, err := readOnly.Set(t.Context(), rec)
	require.ErrorIs(t, err, pgstore.ErrServer)
	require.ErrorContains(t, err, "read-only")

	url := "postgres://postgres@" + primary.Addr() + "," + standby.Addr() + "/postgres?target_session_attrs=read-write"
	st := open(t, url, nil)
	node := watch(t, st)
	node.hold(rec.ID, rec.ClientID)
	var recs []store.Record
	for range 50 {
		recs = append(recs, create(t, st))
	}
	was, err := st.Destroy(t.Context(), recs[0].ID)
	require.NoError(t, err)
	require.True(t, was)
	standby.CatchUp(t, primary)
	primary.Kill()
	standby.Promote(t)
	require.Eventually(t, func() bool {
		_, err := st.Get(t.Context(), rec.ID)
		return err == nil
	}, patience, tick)
	_, err = st.Get(t.Context(), recs[0].ID)
	require.ErrorIs(t, err, store.ErrNotFound, "it had ended")
	for _, rec := range recs[1:] {
		got, err := st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec, got)
	}
	node.expect(store.Change{Kind: store.ChangeMissed})
	_, err = st.End(t.Context(), rec.ID, "logout", 0)
	require.NoError(t, err)
	node.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"})
}

// TestPgBouncer: in transaction mode everything works but notifications, which a node notices, unless
// it has a direct connection for them.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	s := server.Server(t)
	url := pgtest.StartBouncer(t, s)
	for name, direct := range map[string]string{"without notifications": "", "ListenDSN": s.URL()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := open(t, url, &pgstore.Options{Schema: newSchema(), ListenDSN: direct})
			a, b := watch(t, st), watch(t, st)
			rec := create(t, a)
			b.hold(rec.ID, rec.ClientID)
			for range 20 { // on several connections of the server
				rec.Revision++
				_, err := a.Set(t.Context(), store.Record{ID: rec.ID, ClientID: rec.ClientID, Revision: rec.Revision - 1, Data: rec.Data})
				require.NoError(t, err)
			}
			if direct != "" {
				b.heard()
			}
			began := time.Now()
			was, err := a.Destroy(t.Context(), rec.ID)
			require.NoError(t, err)
			require.True(t, was)
			b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID})
			require.Less(t, time.Since(began), 5*time.Second)
			if direct == "" {
				require.Zero(t, b.Contact().Heard)
			}
			require.NotZero(t, b.Contact().Answered)
		})
	}
	_, err := pgstore.Open(t.Context(), url, &pgstore.Options{ListenDSN: "postgres://ada:secret@host:port/none"})
	require.ErrorContains(t, err, "Options.ListenDSN")
	require.NotContains(t, err.Error(), "secret")
}
