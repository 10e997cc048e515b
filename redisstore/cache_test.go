package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// cached are the constructors of a store with a cache.
var cached = map[string]func(t testing.TB, addr string) *redisstore.Store{
	"Open": func(t testing.TB, addr string) *redisstore.Store {
		return open(t, "redis://"+addr, &redisstore.Options{CacheBytes: 8 << 20})
	},
	"New": func(t testing.TB, addr string) *redisstore.Store {
		// When a client repeats a command after a lost connection, it reuses the command's memory,
		// which the lost connection may still be reading: a race in rueidis 1.0.79. Open disables
		// retries.
		return withClient(t, rueidis.ClientOption{InitAddress: []string{addr}, DisableRetry: true})
	},
}

// withClient returns a store with a client of its own.
func withClient(t testing.TB, option rueidis.ClientOption) *redisstore.Store {
	t.Helper()
	client, err := rueidis.NewClient(option)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	st, err := redisstore.New(t.Context(), client, nil)
	require.NoError(t, err)
	return st
}

// changed updates the session and returns it.
func changed(t testing.TB, st store.Store, rec store.Record) store.Record {
	t.Helper()
	rec.Data = fmt.Appendf(nil, `{"n":%d}`, rec.Revision)
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	rec.Revision = revision
	return rec
}

// sees waits until GetCached returns the session as it is stored.
func sees(t testing.TB, st store.CachedGetter, rec store.Record) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := st.GetCached(t.Context(), rec.ID)
		return err == nil && got.Revision == rec.Revision && string(got.Data) == string(rec.Data)
	}, patience, tick)
}

// TestCachedSessionIsAskedForOnce: a session is read with one round trip, and with another one
// after each change by any process.
func TestCachedSessionIsAskedForOnce(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			l := newLine(t, s.Addr())
			st, other := make(t, l.listener.Addr().String()), open(t, s.URL(), nil)
			rec := create(t, other)
			l.sent()
			for range 10 {
				got, err := st.GetCached(t.Context(), rec.ID)
				require.NoError(t, err)
				require.Equal(t, rec.Data, got.Data)
				require.Equal(t, rec.Revision, got.Revision)
				require.Equal(t, rec.TokenHash, got.TokenHash)
			}
			require.Equal(t, []string{"GET"}, l.sent())

			rec = changed(t, other, rec)
			sees(t, st, rec)
			require.Equal(t, []string{"GET"}, l.sent(), "a change by another process invalidates it")
			require.NoError(t, other.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Minute)))
			require.Eventually(t, func() bool {
				got, err := st.GetCached(t.Context(), rec.ID)
				return err == nil && got.Seen.Equal(rec.Seen.Add(time.Minute))
			}, patience, tick)
			rec = changed(t, st, rec)
			sees(t, st, rec)
			_, err := other.Destroy(t.Context(), rec.ID)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := st.GetCached(t.Context(), rec.ID)
				return errors.Is(err, store.ErrNotFound)
			}, patience, tick, "it is gone")
		})
	}
}

// TestAbsenceIsNotCached: a session that is created after GetCached has returned ErrNotFound is
// found at once.
func TestAbsenceIsNotCached(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			l := newLine(t, s.Addr())
			st, other := make(t, l.listener.Addr().String()), open(t, s.URL(), nil)
			for range 50 {
				rec := newRecord()
				l.sent()
				for range 3 {
					_, err := st.GetCached(t.Context(), rec.ID)
					require.ErrorIs(t, err, store.ErrNotFound)
					require.Equal(t, []string{"GET"}, l.sent())
				}
				_, err := other.Set(t.Context(), rec)
				require.NoError(t, err)
				_, err = st.GetCached(t.Context(), rec.ID)
				require.NoError(t, err)
			}
		})
	}
}

// TestLostConnectionEmptiesTheCache: the client receives no invalidations without a connection.
func TestLostConnectionEmptiesTheCache(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			st, other := make(t, s.Addr()), open(t, s.URL(), nil)
			recs := []store.Record{create(t, other), create(t, other), create(t, other)}
			for _, rec := range recs {
				sees(t, st, rec)
			}
			s.Do("CLIENT", "KILL", "TYPE", "normal")
			require.Eventually(t, func() bool { return other.Ping(t.Context()) == nil }, patience, tick)
			for i := range recs {
				recs[i] = changed(t, other, recs[i])
			}
			for _, rec := range recs {
				sees(t, st, rec)
			}
		})
	}
}

// TestCachedSessionIsTheCallers: changing the result does not change the cache.
func TestCachedSessionIsTheCallers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	rec := create(t, st)
	for range 3 {
		got, err := st.GetCached(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, string(rec.Data), string(got.Data))
		for i := range got.Data {
			got.Data[i] = 'x'
		}
		_ = append(got.Data, "more"...)
		got.TokenHash[0]++
	}
}

// TestCacheIsBounded: sessions that have not been used lately are evicted.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const sessions, limit = 2000, 512 << 10
	s := redistest.Start(t)
	l := newLine(t, s.Addr())
	st := open(t, l.url(), &redisstore.Options{CacheBytes: limit, Timeout: patience})
	recs := fill(t, st, sessions)
	favourite := recs[0].ID
	get := func(id string) (asked int) {
		_, err := st.GetCached(t.Context(), id)
		require.NoError(t, err)
		return len(l.sent())
	}
	l.sent()
	asked := 0
	for round := range 3 {
		asked = 0
		for _, rec := range recs {
			asked += get(rec.ID)
		}
		t.Logf("round %d: %d of %d were asked for", round, asked, sessions)
		require.LessOrEqual(t, sessions-asked, limit/500, "the limit")
	}
	require.Less(t, asked, sessions, "some are cached")
	favourites := 0
	for _, rec := range recs {
		get(rec.ID)
		favourites += get(favourite)
	}
	require.Less(t, favourites, sessions/10, "a session in use stays cached")
}

// TestCacheOfAnUnresponsiveServer: cached sessions are served until the client notices, after
// Options.Timeout and a second.
func TestCacheOfAnUnresponsiveServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	writer, st := open(t, s.URL(), nil), open(t, s.URL(), &redisstore.Options{Timeout: 500 * time.Millisecond})
	known, other := create(t, writer), create(t, writer)
	sees(t, st, known)
	s.Pause()
	clock := redistest.Start(t).Clock()
	_, err := st.GetCached(t.Context(), other.ID)
	require.ErrorIs(t, err, redisstore.ErrTimeout)
	require.Less(t, clock.Elapsed(), 3*time.Second)
	require.Eventually(t, func() bool {
		_, err := st.GetCached(t.Context(), known.ID)
		return err != nil && !errors.Is(err, store.ErrNotFound)
	}, patience, tick)
	require.Less(t, clock.Elapsed(), 10*time.Second)
	s.Resume()
	sees(t, st, known)
	sees(t, st, other)
}

// TestCancelledCallDoesNotFailOthers: they wait for the reply to its command.
func TestCancelledCallDoesNotFailOthers(t *testing.T) {
	t.Parallel()
	for name, make := range cached {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			st := make(t, s.Addr())
			rec := create(t, st)
			_, err := st.GetCached(t.Context(), newRecord().ID) // opens the connection
			require.NoError(t, notFound(err))
			s.Pause()
			ctx, cancel := context.WithCancel(t.Context())
			first, second := goGet(ctx, st, rec.ID), goGet(t.Context(), st, rec.ID)
			cancel()
			require.ErrorIs(t, <-first, context.Canceled)
			s.Resume()
			require.NoError(t, <-second)
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			_, err = st.GetCached(ctx, rec.ID)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// notFound returns nil for ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("it isn't ErrNotFound: %w", err)
}

func goGet(ctx context.Context, st store.CachedGetter, id string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := st.GetCached(ctx, id)
		done <- err
	}()
	return done
}

// TestCacheAfterClose: GetCached returns ErrClosed.
func TestCacheAfterClose(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	rec := create(t, st)
	sees(t, st, rec)
	require.NoError(t, st.Close())
	_, err := st.GetCached(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrClosed)
}

// TestCacheOfDamagedSession: a value that this package has not written is an error, cached or not.
func TestCacheOfDamagedSession(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	s.Do("SET", "sb:{0}:s\x01thing", strconv.Itoa(1))
	for range 2 {
		_, err := st.GetCached(t.Context(), "thing")
		require.ErrorIs(t, err, redisstore.ErrDamaged)
	}
	s.Do("DEL", "sb:{0}:s\x01thing")
	s.Do("LPUSH", "sb:{0}:s\x01thing", "x")
	require.Eventually(t, func() bool {
		_, err := st.GetCached(t.Context(), "thing")
		return err != nil && !errors.Is(err, redisstore.ErrDamaged) && !errors.Is(err, store.ErrNotFound)
	}, patience, tick, "what Redis says of it is passed on")
}
