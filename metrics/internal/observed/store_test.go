package observed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
)

// log is a hook that notes the calls that have returned.
type log struct {
	calls []string
	last  observed.Result
}

type markKey struct{}

func (l *log) hook(ctx context.Context, operation string) (context.Context, func(observed.Result)) {
	return context.WithValue(ctx, markKey{}, operation), func(r observed.Result) {
		l.calls, l.last = append(l.calls, operation+" "+r.Outcome), r
	}
}

func capability[C any](t *testing.T, st store.Store) C {
	t.Helper()
	c, ok := store.As[C](st)
	require.True(t, ok)
	return c
}

func record(id string) store.Record {
	now := time.Now()
	return store.Record{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012s", id), UserID: "ada", ClientID: "client", Data: []byte(`{}`),
		Created: now, Seen: now, Expires: now.Add(time.Hour), Idle: time.Hour, Lifetime: time.Hour,
	}
}

func TestEachOutcome(t *testing.T) {
	faulty, seen := teststore.NewFaulty(), &log{}
	st, rec := observed.New(faulty, seen.hook), record("1")
	_, _ = st.Get(t.Context(), rec.ID)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	_, err = st.Set(t.Context(), rec)
	require.ErrorIs(t, err, store.ErrConflict)
	faulty.Next(1, "Get", teststore.Refuse(store.ErrBusy))
	_, _ = st.Get(t.Context(), rec.ID)
	faulty.Next(1, "Get", teststore.Refuse(errors.New("unreachable")))
	_, _ = st.Get(t.Context(), rec.ID)
	require.EqualError(t, seen.last.Err, "unreachable")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	faulty.Next(1, "Get", teststore.Refuse(errors.New("interrupted")))
	_, _ = st.Get(gone, rec.ID)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	faulty.Next(1, "Get", teststore.Refuse(context.DeadlineExceeded))
	_, _ = st.Get(late, rec.ID)
	_, err = st.Destroy(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, []string{
		"get not_found", "set ok", "set conflict", "get busy", "get error", "get canceled", "get error", "destroy ok",
	}, seen.calls)
}

// TestEachOperationIsSeen: of a store and of its nodes, also in an App.
func TestEachOperationIsSeen(t *testing.T) {
	ctx, seen := t.Context(), &log{}
	root := observed.New(testhub.New(), seen.hook)
	n := capability[store.Watcher](t, root).Watch(func(store.Change) {})
	app := capability[store.Namespacer](t, root).App("shop")
	rec := record("1")
	var err error
	rec.Revision, err = app.Set(ctx, rec)
	require.NoError(t, err)
	for _, err := range capability[store.Lister](t, app).List(ctx) {
		require.NoError(t, err)
	}
	for _, err := range capability[store.UserIndex](t, app).ByUser(ctx, "ada") {
		require.NoError(t, err)
		break
	}
	require.Equal(t, 1, seen.last.Records)
	for _, err := range capability[store.ClientIndex](t, app).ByClient(ctx, "client") {
		require.NoError(t, err)
	}
	for _, err := range capability[store.ActivityIndex](t, app).ActiveSince(ctx, rec.Seen) {
		require.NoError(t, err)
	}
	for _, err := range capability[store.ActiveLister](t, app).ListActive(ctx, rec.Seen, rec.Seen) {
		require.NoError(t, err)
	}
	_, _ = capability[store.ClientOrder](t, app).NewestByClient(ctx, "client", 1)
	_, _ = capability[store.ClientOrder](t, app).SurplusByClient(ctx, "client", 1, 1)
	_ = capability[store.Toucher](t, app).Touch(ctx, rec.ID, rec.Seen.Add(time.Minute))
	_, _ = capability[store.Sweeper](t, app).Sweep(ctx, rec.Seen, 1)
	_ = capability[store.Pinger](t, root).Ping(ctx)
	_ = capability[store.Optimizer](t, root).Optimize(ctx)
	require.Equal(t, []string{
		"set ok", "list ok", "by_user ok", "by_client ok", "active_since ok", "list_active ok", "newest_by_client ok",
		"surplus_by_client ok", "touch ok", "sweep ok", "ping ok", "optimize ok",
	}, seen.calls)

	seen.calls = nil
	_, err = n.Set(ctx, record("2"))
	require.NoError(t, err)
	require.NoError(t, n.Hold(ctx, rec.ID, "client"))
	_ = n.Release(ctx, rec.ID, "client")
	_ = n.Announce(ctx, "client", rec.ID)
	_, _ = n.Holders(ctx, []string{rec.ID}, nil)
	_, _ = n.Nodes(ctx)
	_ = n.Send(ctx, nil, nil)
	release, err := capability[store.Reserver](t, n).Reserve(ctx, rec.ID)
	require.NoError(t, err)
	require.NoError(t, release(ctx))
	unlock, err := capability[store.UserLocker](t, n).LockUser(ctx, "ada")
	require.NoError(t, err)
	require.NoError(t, unlock(ctx))
	_, _ = capability[store.Ender](t, n).End(ctx, record("2").ID, "logout", 0)
	require.NotZero(t, n.Contact().Answered)
	require.NoError(t, n.Leave(ctx))
	require.Equal(t, []string{
		"set ok", "hold ok", "release ok", "announce ok", "holders ok", "nodes ok", "send ok", "reserve ok",
		"unreserve ok", "lock_user ok", "unlock_user ok", "end ok", "leave ok",
	}, seen.calls)
}

// cache is a store.CachedGetter that says which context it got.
type cache struct {
	*livestore.Store
	mark any
}

func (c *cache) GetCached(ctx context.Context, _ string) (store.Record, error) {
	c.mark = ctx.Value(markKey{})
	return store.Record{}, nil
}

func TestTheStoreGetsTheContextOfTheHook(t *testing.T) {
	inner, seen := &cache{Store: livestore.New()}, &log{}
	_, err := capability[store.CachedGetter](t, observed.New(inner, seen.hook)).GetCached(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, "get_cached", inner.mark)
	require.Equal(t, []string{"get_cached ok"}, seen.calls)
}

// TestAnIterationIsTimedWithoutItsBody: what the caller does with the records is not the store's.
func TestAnIterationIsTimedWithoutItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, seen := teststore.NewFaulty(), &log{}
		st := observed.New(inner, seen.hook)
		for _, id := range []string{"1", "2", "3"} {
			_, err := st.Set(t.Context(), record(id))
			require.NoError(t, err)
		}
		inner.Next(1, "List", func(_ context.Context, call func() error) error {
			time.Sleep(2 * time.Second)
			return call()
		})
		for _, err := range capability[store.Lister](t, st).List(t.Context()) {
			require.NoError(t, err)
			time.Sleep(time.Hour)
		}
		require.Equal(t, observed.Result{Outcome: "ok", Records: 3, Took: 2 * time.Second}, seen.last)
	})
}

func TestAnIterationThatFails(t *testing.T) {
	inner, seen := livestore.New(), &log{}
	st := observed.New(inner, seen.hook)
	require.NoError(t, inner.Close())
	for _, err := range capability[store.Lister](t, st).List(t.Context()) {
		require.ErrorIs(t, err, store.ErrClosed)
	}
	require.Equal(t, []string{"list error"}, seen.calls)
	require.ErrorIs(t, seen.last.Err, store.ErrClosed)
}
