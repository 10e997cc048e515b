package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestAcknowledgedChangesSurviveAKill with an append-only file that is synced with each write.
func TestAcknowledgedChangesSurviveAKill(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	st := open(t, s.URL(), nil)
	kept, gone, changed := create(t, st), create(t, st), create(t, st)
	_, err := st.Destroy(t.Context(), gone.ID)
	require.NoError(t, err)
	changed.UserID, changed.Data = "bob", []byte(`{"n":1}`)
	changed.Revision, err = st.Set(t.Context(), changed)
	require.NoError(t, err)
	s.Kill()
	_, err = st.Get(t.Context(), kept.ID)
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotFound, "an outage doesn't mean that the session is gone")
	_, err = st.Set(t.Context(), kept)
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrConflict)
	s.Restart()

	require.Eventually(t, func() bool { return st.Ping(t.Context()) == nil }, patience, tick, "service resumes by itself")
	got, err := st.Get(t.Context(), changed.ID)
	require.NoError(t, err)
	require.Equal(t, changed.Data, got.Data)
	require.Equal(t, changed.Revision, got.Revision)
	_, err = st.Get(t.Context(), gone.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, []string{kept.ID}, collect(t, st.ByUser(t.Context(), "ada")))
	require.Equal(t, []string{changed.ID}, collect(t, st.ByUser(t.Context(), "bob")))
	_, err = st.Set(t.Context(), kept)
	require.NoError(t, err, "its revision is unchanged")
}

// TestUnresponsiveServer: an operation takes no longer than its context or Options.Timeout, and
// service resumes when the server does.
func TestUnresponsiveServer(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Timeout: timeout})
	rec := create(t, open(t, s.URL(), nil))
	require.Eventually(t, func() bool { return st.Ping(t.Context()) == nil }, patience, tick)
	s.Pause()
	clock := redistest.Start(t).Clock()
	operations := map[string]func(ctx context.Context) error{
		"get": func(ctx context.Context) error {
			_, err := st.Get(ctx, rec.ID)
			return err
		},
		"set": func(ctx context.Context) error {
			_, err := st.Set(ctx, rec)
			return err
		},
		"destroy": func(ctx context.Context) error {
			_, err := st.Destroy(ctx, newRecord().ID)
			return err
		},
		"touch": func(ctx context.Context) error { return st.Touch(ctx, rec.ID, rec.Seen.Add(time.Second)) },
		"sweep": func(ctx context.Context) error {
			_, err := st.Sweep(ctx, time.Time{}, 1)
			return err
		},
		"list": func(ctx context.Context) error {
			for _, err := range st.List(ctx) {
				return err
			}
			return nil
		},
		"by user": func(ctx context.Context) error {
			for _, err := range st.ByUser(ctx, "ada") {
				return err
			}
			return nil
		},
		"ping": st.Ping,
	}
	for name, do := range operations {
		began := clock.Elapsed()
		err := do(t.Context())
		require.Error(t, err, name)
		require.NotErrorIs(t, err, store.ErrNotFound, name)
		require.NotErrorIs(t, err, store.ErrConflict, name)
		require.Less(t, clock.Elapsed()-began, 6*timeout, name) // includes the time for a new connection, if the old one was closed
	}
	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	began := clock.Elapsed()
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	_, err := st.Set(ctx, rec)
	require.Error(t, err)
	require.Less(t, clock.Elapsed()-began, 6*timeout)
	s.Resume()
	require.Eventually(t, func() bool {
		got, err := st.Get(t.Context(), rec.ID)
		if err == nil {
			_, err = st.Set(t.Context(), got)
		}
		return err == nil
	}, patience, tick)
}

// TestCancelledInFlight: while Redis is unresponsive, a cancelled operation returns the cause at
// once. Its connection stays open for others.
func TestCancelledInFlight(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Timeout: 10 * time.Second})
	rec := create(t, st)
	for range 40 { // opens all connections of the client; opening one can't be cancelled
		_, err := st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	s.Pause()
	clock := redistest.Start(t).Clock()
	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error)
	go func() {
		_, err := st.Set(ctx, rec)
		failed <- err
	}()
	other := make(chan error)
	go func() {
		_, err := st.Get(t.Context(), rec.ID)
		other <- err
	}()
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	require.ErrorIs(t, <-failed, cause)
	require.Less(t, clock.Elapsed(), 5*time.Second)
	s.Resume()
	require.NoError(t, <-other)
}

// TestFullMemory: updates return an error that names the reason. Reads and the end of sessions
// still work.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "maxmemory 8mb", "maxmemory-policy noeviction")
	st := open(t, s.URL(), nil)
	var recs []store.Record
	var refused error
	for i := 0; refused == nil && i < 10_000; i++ {
		rec := newRecord(func(rec *store.Record) { rec.Data = []byte(`"` + strings.Repeat("x", 20_000) + `"`) })
		if rec.Revision, refused = st.Set(t.Context(), rec); refused == nil {
			recs = append(recs, rec)
		}
	}
	require.ErrorContains(t, refused, "the memory of Redis is full")
	require.NotErrorIs(t, refused, store.ErrConflict)
	require.NotErrorIs(t, refused, store.ErrNotFound)
	_, err := st.Set(t.Context(), recs[0])
	require.ErrorContains(t, err, "the memory of Redis is full")
	_, err = st.Get(t.Context(), recs[0].ID)
	require.NoError(t, err)
	require.NoError(t, st.Touch(t.Context(), recs[0].ID, recs[0].Seen.Add(time.Minute)), "sessions in use don't expire because of it")
	was, err := st.Destroy(t.Context(), recs[1].ID)
	require.NoError(t, err)
	require.True(t, was)
	swept, err := st.Sweep(t.Context(), recs[0].Expires.Add(day), 10_000)
	require.NoError(t, err)
	require.Len(t, swept, len(recs)-1)
	create(t, st)
}

func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	st := open(t, master.URL(), nil)
	rec := create(t, st)
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, fmt.Sprintf("replicaof %s %s", host, port))
	_, err := redisstore.Open(t.Context(), replica.URL(), nil)
	require.ErrorIs(t, err, redisstore.ErrServer)
	require.ErrorContains(t, err, "replica")
	require.ErrorContains(t, err, master.Addr())

	other := redistest.Start(t) // a failover makes the master a replica, and the client doesn't know
	host, port, _ = strings.Cut(other.Addr(), ":")
	master.Do("REPLICAOF", host, port)
	_, err = st.Set(t.Context(), rec)
	require.ErrorContains(t, err, "this is a replica")
	_, err = st.Destroy(t.Context(), rec.ID)
	require.ErrorContains(t, err, "this is a replica")
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "requirepass correct-horse")
	for url, says := range map[string]string{
		s.URL(): "requires a password",
		strings.Replace(s.URL(), "//", "//:battery-staple@", 1): "rejects the user name or the password",
		"redis://user:battery-staple/x@" + s.Addr():             "percent-encoded",
		"redis://:battery-staple@" + s.Addr() + "/x":            "percent-encoded",
		"battery-staple": "percent-encoded",
	} {
		_, err := redisstore.Open(t.Context(), url, nil)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "battery-staple", "errors may be logged")
	}
	st := open(t, strings.Replace(s.URL(), "//", "//:correct-horse@", 1), nil)
	create(t, st)
}

// TestLostReplyIsNotSentAgain: the writer gets an error, the command is not repeated, and the
// stored record has the writer's WriteID.
func TestLostReplyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLine(t, s.Addr())
	st := open(t, l.url(), &redisstore.Options{Timeout: time.Second})
	rec := create(t, st)
	var err error
	rec.Revision, err = st.Set(t.Context(), rec) // so that the server knows the script
	require.NoError(t, err)
	l.sent()
	l.cut.Store(true)
	rec.WriteID[0]++
	_, err = st.Set(t.Context(), rec)
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrConflict)
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, []string{"EVALSHA"}, l.sent())
	l.cut.Store(false)
	require.Eventually(t, func() bool { return st.Ping(t.Context()) == nil }, patience, tick)
	got, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec.WriteID, got.WriteID, "the record was stored")
	require.Equal(t, rec.Revision+1, got.Revision, "once")
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := redisstore.Open(ctx, s.URL(), &redisstore.Options{Timeout: time.Second})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connecting")
	require.ErrorContains(t, err, s.Addr())
}
