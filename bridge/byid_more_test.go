package bridge_test

import (
	"context"
	"errors"
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
	require.NoError(t, b.MergeByID(t.Context(), id, map[string]any{"a": "x", "b": []int{1}}))
	require.NoError(t, b.MergeByID(t.Context(), id, map[string]any{"a": nil, "c": 1.5, "never there": nil}))
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, s.Decode(&all))
	require.Equal(t, map[string]any{"n": 1.0, "b": []any{1.0}, "c": 1.5}, all)
	var bad *bridge.ValueError
	require.ErrorAs(t, b.MergeByID(t.Context(), id, map[string]any{"d": 1, "e": make(chan int)}), &bad)
	require.Equal(t, "e", bad.Key)
	s, err = b.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, ok := s.Get("d")
	require.False(t, ok, "all of it or nothing")
	require.Equal(t, "ada", s.UserID())
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
