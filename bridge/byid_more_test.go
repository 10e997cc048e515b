package bridge_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestMergeByIDSetsDeletesAndKeeps(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	p, id := testkit.SignIn(t, app, "ada")
	p.Get(t, app, "/inc")
	_, err := b.MergeByID(t.Context(), id, map[string]any{"a": "x", "b": []int{1}})
	require.NoError(t, err)
	merged, err := b.MergeByID(t.Context(), id, map[string]any{"a": nil, "c": 1.5, "never there": nil})
	require.NoError(t, err)
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	for _, s := range []*bridge.Session{merged, s} {
		var all map[string]any
		require.NoError(t, s.Decode(&all))
		require.Equal(t, map[string]any{"n": 1.0, "b": []any{1.0}, "c": 1.5}, all)
		require.Equal(t, "ada", s.UserID())
		require.ErrorIs(t, s.Err(), bridge.ErrSessionClosed)
	}
	typed, err := b.MergeByID(t.Context(), id, map[string]any{"b": (*int)(nil), "c": nil})
	require.NoError(t, err)
	require.Equal(t, []string{"b", "n"}, slices.Sorted(typed.Keys()), "only an untyped nil deletes")
	var bad *bridge.ValueError
	none, err := b.MergeByID(t.Context(), id, map[string]any{"d": 1, "e": make(chan int)})
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "e", bad.Key)
	require.Nil(t, none)
	s, err = b.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, ok := s.Get("d")
	require.False(t, ok, "all of it or nothing")
}

// What another writer has stored in between is in the snapshot, too. Within a function on the
// session it shows what the function has changed, and the function goes on.
func TestMergeByIDReturnsTheSessionAsItIsStoredThen(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	_, id := testkit.SignIn(t, b.Handler(testkit.NewMux(b)), "ada")
	st.Next(1, "Set", func(ctx context.Context, set func() error) error {
		rec := teststore.Stored(t, st.Store, id)
		rec.Data = []byte(`{"theirs":1}`)
		_, err := st.Store.Set(ctx, rec)
		return errors.Join(err, set())
	})
	keys := func(s *bridge.Session) []string { return slices.Sorted(s.Keys()) }
	merged, err := b.MergeByID(t.Context(), id, map[string]any{"mine": 1})
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "theirs"}, keys(merged))

	require.NoError(t, b.UpdateByID(t.Context(), id, func(ctx context.Context, s *bridge.Session) error {
		s.Set("outer", 1)
		inner, err := b.MergeByID(ctx, id, map[string]any{"mine": nil})
		require.NoError(t, err)
		require.Equal(t, []string{"outer", "theirs"}, keys(inner))
		s.Set("after", 1)
		require.Equal(t, []string{"outer", "theirs"}, keys(inner), "it is a copy")
		return nil
	}))
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{"after", "outer", "theirs"}, keys(s))
}

func TestTouchByIDRestartsTheIdleTimeout(t *testing.T) {
	for name, narrow := range map[string]func(*livestore.Store) store.Store{
		"toucher":   func(st *livestore.Store) store.Store { return st },
		"set alone": func(st *livestore.Store) store.Store { return teststore.Minimal{Store: st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				b := testkit.NewBridge(t, narrow(st), &bridge.Options{IdleTimeout: time.Hour, Lifetime: 3 * time.Hour})
				app := b.Handler(testkit.NewMux(b))
				_, id := testkit.SignIn(t, app, "ada")
				before := teststore.Stored(t, st, id)
				for range 3 {
					time.Sleep(50 * time.Minute)
					require.NoError(t, b.TouchByID(t.Context(), id))
				}
				time.Sleep(time.Second)
				require.NoError(t, b.TouchByID(t.Context(), id), "however short ago it was touched")
				after := teststore.Stored(t, st, id)
				require.WithinDuration(t, time.Now(), after.Seen, time.Millisecond)
				require.Equal(t, before.Created.Add(3*time.Hour), after.Expires, "the lifetime stands")
				require.Equal(t, before.Writes, after.Writes, "nothing else changed")
				time.Sleep(30 * time.Minute)
				require.ErrorIs(t, b.TouchByID(t.Context(), id), bridge.ErrSessionMissing)
			})
		})
	}
}

func TestTouchByIDWaitsForNoHandlerAndSaysWhenTheStoreFails(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	app := b.Handler(testkit.NewMux(b))
	_, id := testkit.SignIn(t, app, "ada")
	require.NoError(t, b.UpdateByID(t.Context(), id, func(context.Context, *bridge.Session) error {
		return b.TouchByID(t.Context(), id)
	}))
	st.Next(1, "Touch", teststore.Refuse(errors.New("down")))
	require.ErrorIs(t, b.TouchByID(t.Context(), id), bridge.ErrStoreUnavailable)
}

// One that changes nothing isn't.
func TestMergeByIDIsActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), nil)
		c := create(t, b, bridge.NewSession{Idle: time.Hour})
		for _, n := range []int{1, 2, 2} {
			time.Sleep(59 * time.Minute)
			_, err := b.MergeByID(t.Context(), c.SessionID, map[string]any{"n": n})
			require.NoError(t, err)
		}
		time.Sleep(3 * time.Minute)
		_, err := b.GetByID(t.Context(), c.SessionID)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
	})
}
