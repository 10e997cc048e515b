package redisstore_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestSeveralProcesses: they share the sessions, and the number of shards that the first one has
// chosen.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	first := open(t, s.URL(), &redisstore.Options{Shards: 5})
	rec := create(t, first)
	second := open(t, s.URL(), nil)
	got, err := second.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	got.Data = []byte(`{"n":2}`)
	_, err = second.Set(t.Context(), got)
	require.NoError(t, err)
	_, err = first.Set(t.Context(), rec)
	require.ErrorIs(t, err, store.ErrConflict)

	_, err = redisstore.Open(t.Context(), s.URL(), &redisstore.Options{Shards: 6})
	require.ErrorIs(t, err, redisstore.ErrShards)
	require.ErrorContains(t, err, "created with 5")
	other := open(t, s.URL(), &redisstore.Options{Shards: 6, Namespace: "other"})
	_, err = other.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestInvalidOptions(t *testing.T) {
	for want, opts := range map[string]redisstore.Options{
		"Namespace": {Namespace: "a{b}"},
		"Shards":    {Shards: 1025},
		"Timeout":   {Timeout: -1},
	} {
		_, err := redisstore.Open(t.Context(), "redis://127.0.0.1:1", &opts)
		require.ErrorContains(t, err, "Options."+want)
	}
}

// TestClientOfTheCaller: New doesn't close the client.
func TestClientOfTheCaller(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}})
	require.NoError(t, err)
	defer client.Close()
	st, err := redisstore.New(t.Context(), client, nil)
	require.NoError(t, err)
	rec := create(t, st)
	require.NoError(t, st.App("shop").(*redisstore.Store).Close(), "closing an App's store has no effect")
	_, err = st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.NoError(t, st.Close())
	_, err = st.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrClosed)
	require.NoError(t, client.Do(t.Context(), client.B().Ping().Build()).Error())
}

func TestOverAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	redistest.Start(t, "unixsocket "+path)
	st := open(t, "unix://"+path, nil)
	rec := create(t, st)
	_, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
}

// TestEvictingServerIsRejected unless Options.AllowEviction is set.
func TestEvictingServerIsRejected(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "maxmemory 50mb", "maxmemory-policy volatile-lru")
	_, err := redisstore.Open(t.Context(), s.URL(), nil)
	require.ErrorIs(t, err, redisstore.ErrServer)
	require.ErrorContains(t, err, "volatile-lru")
	create(t, open(t, s.URL(), &redisstore.Options{AllowEviction: true}))
	s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	create(t, open(t, s.URL(), nil))
}

func TestOpenWithAContextThatEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := redisstore.Open(ctx, "redis://127.0.0.1:1", nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestOpenWaitsForRedis until its context ends.
func TestOpenWaitsForRedis(t *testing.T) {
	t.Parallel()
	p := redistest.StartProxy(t, redistest.Start(t))
	p.Refuse()
	cause := errors.New("the deployment is over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
	defer cancel()
	_, err := redisstore.Open(ctx, p.URL(), nil)
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "connecting", "what the last attempt failed with")
	time.AfterFunc(time.Second, p.Allow)
	create(t, open(t, p.URL(), nil))
}

// TestOpenIsBounded: Open returns although the server accepts connections but never replies.
func TestOpenIsBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	clock := testclock.Start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = redisstore.Open(ctx, "redis://"+l.Addr().String(), &redisstore.Options{Timeout: 300 * time.Millisecond})
	require.Error(t, err)
	require.Less(t, clock.Elapsed(), 3*time.Second)
}
