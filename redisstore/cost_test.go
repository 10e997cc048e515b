package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestOneCommandPerOperation: each operation on a session is one command, so one round trip. A
// query of all shards is one command for each, sent at once.
func TestOneCommandPerOperation(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprint("shards=", shards), func(t *testing.T) {
			s := redistest.Start(t)
			l := newLine(t, s.Addr())
			st := open(t, l.url(), &redisstore.Options{Shards: shards})
			rec := create(t, st)
			operations := []struct {
				name string
				want []string
				do   func() error
			}{
				{"create", []string{"EVALSHA"}, func() error {
					_, err := st.Set(t.Context(), newRecord())
					return err
				}},
				{"get", []string{"GET"}, func() error {
					_, err := st.Get(t.Context(), rec.ID)
					return err
				}},
				{"touch", []string{"EVALSHA"}, func() error { return st.Touch(t.Context(), rec.ID, rec.Seen.Add(2*time.Minute)) }},
				{"set", []string{"EVALSHA"}, func() error {
					revision, err := st.Set(t.Context(), rec)
					rec.Revision = revision
					return err
				}},
				{"conflict", []string{"EVALSHA"}, func() error {
					stale := rec
					stale.Revision += 7
					_, err := st.Set(t.Context(), stale)
					require.ErrorIs(t, err, store.ErrConflict)
					return nil
				}},
				{"sessions of a user", repeated("EVALSHA", shards), func() error {
					require.Len(t, collect(t, st.ByUser(t.Context(), "ada")), 2)
					return nil
				}},
				{"sessions of a client", repeated("EVALSHA", shards), func() error {
					require.Len(t, collect(t, st.ByClient(t.Context(), rec.ClientID)), 1)
					return nil
				}},
				{"ping", repeated("EXISTS", shards), func() error { return st.Ping(t.Context()) }},
				{"sweep of nothing", repeated("EVALSHA", shards), func() error {
					_, err := st.Sweep(t.Context(), time.Now(), 100)
					return err
				}},
				{"destroy", []string{"EVALSHA"}, func() error {
					_, err := st.Destroy(t.Context(), rec.ID)
					return err
				}},
			}
			loadAll(t, st)
			for _, op := range operations {
				l.sent()
				require.NoError(t, op.do(), op.name)
				require.Equal(t, op.want, l.sent(), op.name)
			}
		})
	}
}

func repeated(command string, n int) []string {
	return strings.Fields(strings.Repeat(command+" ", n))
}

// loadAll makes the server load every script, and leaves no session.
func loadAll(t *testing.T, st *redisstore.Store) {
	t.Helper()
	rec := create(t, st, func(rec *store.Record) { rec.UserID = "nobody" })
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen))
	collect(t, st.ByUser(t.Context(), "nobody"))
	collect(t, st.List(t.Context()))
	_, err = st.Sweep(t.Context(), time.Time{}, 1)
	require.NoError(t, err)
	_, err = st.Destroy(t.Context(), rec.ID)
	require.NoError(t, err)
	require.NoError(t, st.Optimize(t.Context()))
}

func TestScriptsAreSentAgainWhenTheServerHasForgottenThem(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{Shards: 3})
	rec := create(t, st)
	forget := func() { s.Do("SCRIPT", "FLUSH") }
	forget()
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.Equal(t, rec.Revision+1, revision, "it ran once")
	forget()
	require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Minute)))
	forget()
	require.Equal(t, []string{rec.ID}, collect(t, st.ByUser(t.Context(), "ada")))
	forget()
	require.Equal(t, []string{rec.ID}, collect(t, st.List(t.Context())))
	forget()
	require.NoError(t, st.Optimize(t.Context()))
	forget()
	swept, err := st.Sweep(t.Context(), rec.Expires.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, swept, 1)
	rec = create(t, st)
	forget()
	was, err := st.Destroy(t.Context(), rec.ID)
	require.NoError(t, err)
	require.True(t, was)
}

// TestWritersLoseNothing: 64 writers in two processes, on one session.
func TestWritersLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 64, 5
	s := redistest.Start(t)
	stores := []*redisstore.Store{open(t, s.URL(), nil), open(t, s.URL(), nil)}
	rec := create(t, stores[0])
	failures := make([]error, writers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	inParallel(writers, func(i int) {
		for range each {
			failures[i] = errors.Join(failures[i], increment(ctx, stores[i%2], rec.ID))
		}
	})
	require.NoError(t, errors.Join(failures...))
	got, err := stores[0].Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(writers*each), string(got.Data))
}

// increment increments the number in the data, by compare-and-set.
func increment(ctx context.Context, st store.Store, id string) error {
	for {
		rec, err := st.Get(ctx, id)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(rec.Data))
		rec.Data = []byte(strconv.Itoa(n + 1))
		if _, err = st.Set(ctx, rec); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
