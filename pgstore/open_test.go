package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	for _, opts := range []pgstore.Options{
		{Schema: strings.Repeat("x", 64)}, {Schema: "a\x00b"}, {Timeout: -1},
	} {
		_, err := pgstore.Open(t.Context(), "postgres://127.0.0.1:1/none", &opts)
		require.ErrorContains(t, err, "pgstore: Options.")
	}
	_, err := pgstore.Open(t.Context(), "postgres://ada:secret@host:port/none", nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	_, err = pgstore.New(t.Context(), nil, nil)
	require.ErrorContains(t, err, "the pool is nil")
}

// TestOpenWaitsForTheServer: Open tries again until its context ends. The error has no password.
func TestOpenWaitsForTheServer(t *testing.T) {
	t.Parallel()
	cause := errors.New("the program is told to end")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(600*time.Millisecond, func() { cancel(cause) })
	_, err := pgstore.Open(ctx, "postgres://ada:secret@127.0.0.1:1/none", nil)
	require.ErrorIs(t, err, cause)
	require.NotContains(t, err.Error(), "secret")

	s := pgtest.Start(t)
	s.Stop()
	opened := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience) // without it, Open waits for 10 s
		defer cancel()
		st, err := pgstore.Open(ctx, s.URL(), nil)
		if err == nil {
			err = st.Close()
		}
		opened <- err
	}()
	s.Restart(t)
	require.NoError(t, <-opened)
}

// TestProcessesThatStartTogether: one creates the schema, and all open it.
func TestProcessesThatStartTogether(t *testing.T) {
	t.Parallel()
	url, schema := server.Server(t).URL(), newSchema()
	opened := make(chan error)
	for range 6 {
		go func() {
			st, err := pgstore.Open(t.Context(), url, &pgstore.Options{Schema: schema, Timeout: patience})
			if err == nil {
				err = st.Close()
			}
			opened <- err
		}()
	}
	for range 6 {
		require.NoError(t, <-opened)
	}
}

// TestSchemaOfAnotherVersion: a later version isn't touched, and NoMigrate creates nothing.
func TestSchemaOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	_, err := pgstore.Open(t.Context(), s.URL(), &pgstore.Options{Schema: schema, NoMigrate: true})
	require.ErrorIs(t, err, pgstore.ErrSchema)
	require.Zero(t, s.QueryInt(t, "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema))

	s.Exec(t, pgstore.Schema(schema))
	st := open(t, s.URL(), &pgstore.Options{Schema: schema, NoMigrate: true})
	create(t, st)
	s.Exec(t, "UPDATE "+quoted(schema)+".schema_version SET version = version + 1")
	_, err = pgstore.Open(t.Context(), s.URL(), &pgstore.Options{Schema: schema})
	require.ErrorIs(t, err, pgstore.ErrSchema)
	require.ErrorContains(t, err, "later")
}

// rights are those of docs/postgres.md, for a role named sessions.
const rights = `GRANT USAGE ON SCHEMA %[1]s TO %[2]s;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %[1]s TO %[2]s;`

// TestS22_RoleWithFewRights: the store works for a role that has no other rights.
func TestS22_RoleWithFewRights(t *testing.T) {
	t.Parallel()
	s, schema := pgtest.Start(t), "sessionbridge"
	s.Exec(t, pgstore.Schema("")+"CREATE ROLE few LOGIN; REVOKE CREATE ON SCHEMA public FROM public;"+
		fmt.Sprintf(rights, schema, "few"))
	url := strings.Replace(s.URL(), "postgres@", "few@", 1)
	st := open(t, url, &pgstore.Options{NoMigrate: true})
	a, b := watch(t, st), watch(t, st)
	rec := create(t, a)
	b.hold(rec.ID, rec.ClientID)
	require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Minute)))
	release, err := a.Node.(store.Reserver).Reserve(t.Context(), rec.ID)
	require.NoError(t, err)
	require.NoError(t, release(t.Context()))
	unlock, err := st.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	require.NoError(t, unlock(t.Context()))
	require.NoError(t, a.Announce(t.Context(), rec.ClientID, rec.ID))
	b.expect(store.Change{Kind: store.ChangeClient, ID: rec.ID, ClientID: rec.ClientID})
	nodes, err := a.Nodes(t.Context())
	require.NoError(t, err)
	require.NoError(t, a.Send(t.Context(), nodes, []byte("hello")))
	require.NoError(t, b.Release(t.Context(), "no session", rec.ClientID))
	swept, err := st.Sweep(t.Context(), rec.Expires.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, swept, 1)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: store.ReasonSwept})

	kept := create(t, a)
	s.Exec(t, "REVOKE UPDATE ON ALL TABLES IN SCHEMA sessionbridge FROM few")
	_, err = st.Set(t.Context(), kept)
	require.ErrorIs(t, err, pgstore.ErrDenied)
	require.ErrorContains(t, err, "the role lacks a right")
}

// TestUnsuitableServers: the error says what to change.
func TestUnsuitableServers(t *testing.T) {
	t.Parallel()
	s := server.Server(t)
	_, err := pgstore.Open(t.Context(), s.URL()+"?default_transaction_isolation=serializable", nil)
	require.ErrorIs(t, err, pgstore.ErrServer)
	require.ErrorContains(t, err, "read committed")

	schema := newSchema()
	open(t, s.URL(), &pgstore.Options{Schema: schema})
	standby := open(t, s.URL()+"?default_transaction_read_only=on", &pgstore.Options{Schema: schema})
	_, err = standby.Set(t.Context(), newRecord())
	require.ErrorIs(t, err, pgstore.ErrServer)
	require.ErrorContains(t, err, "read-only")

	_, err = pgstore.Open(t.Context(), strings.TrimSuffix(s.URL(), "postgres")+"nowhere", nil)
	require.ErrorContains(t, err, "there is no such database")
}

// TestPoolOfTheCaller: a store leaves the pool open, and other users of it alone.
func TestPoolOfTheCaller(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), server.Server(t).URL())
	require.NoError(t, err)
	defer pool.Close()
	st, err := pgstore.New(t.Context(), pool, &pgstore.Options{Schema: newSchema()})
	require.NoError(t, err)
	create(t, st)
	require.NoError(t, st.Close())
	require.NoError(t, pool.Ping(t.Context()))
}
