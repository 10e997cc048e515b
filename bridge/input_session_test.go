package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

type cart struct {
	Items []string `json:"items,omitempty"`
	Total int64    `json:"total"`
	Note  *string  `json:"note"`
}

func TestSessionAsAStruct(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		require.NoError(t, s.Encode(cart{Items: []string{"a"}, Total: 1<<53 + 1}))
	}))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	var got cart
	require.NoError(t, s.Decode(&got))
	require.Equal(t, cart{Items: []string{"a"}, Total: 1<<53 + 1}, got)
	var raw json.RawMessage
	require.NoError(t, s.Decode(&raw))
	clear(raw)
	require.NoError(t, s.Decode(&got), "what the caller gets is a copy")
	n, _ := testkit.Count.Get(s)
	require.Equal(t, 1, n, "keys that the struct doesn't name stay")
	revision := teststore.Stored(t, st, id).Revision
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { require.NoError(t, s.Encode(got)) }))
	require.Equal(t, revision, teststore.Stored(t, st, id).Revision, "the same values are no change")

	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		for _, bad := range []any{nil, 1, "text", []int{1}, (*cart)(nil), make(chan int), map[string]any{"x": make(chan int)}} {
			require.Error(t, s.Encode(bad), "%T", bad)
		}
		require.Error(t, s.Decode(cart{}), "no pointer")
		require.Error(t, s.Decode((*json.RawMessage)(nil)), "no memory")
		require.Error(t, s.Decode(&[]int{}), "no object")
		require.Error(t, s.Decode(&struct {
			N string `json:"n"`
		}{}), "another type")
	}))
	require.Equal(t, revision, teststore.Stored(t, st, id).Revision, "none of them has changed anything")
}

func TestEncodeCannotWriteTheReservedKey(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	err := a.Update(t, id, func(s *bridge.Session) { require.NoError(t, s.Encode(map[string]any{"_flash": "mine"})) })
	var bad *bridge.ValueError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "_flash", bad.Key)
}

func TestTypedKey(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	items := bridge.NewKey[[]string]("items")
	require.Equal(t, "items", items.Name())
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		_, ok := items.Get(s)
		require.False(t, ok)
		items.Set(s, []string{"a"})
		got, ok := items.Get(s)
		require.True(t, ok, "before it is stored")
		got[0] = "changed in place"
	}))
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		got, ok := items.Get(s)
		require.True(t, ok)
		require.Equal(t, []string{"a"}, got)
		other := bridge.NewKey[int]("items")
		none, ok := other.Get(s)
		require.False(t, ok, "a value of another type is none")
		require.Zero(t, none)
		big := bridge.NewKey[int8]("n")
		testkit.Count.Set(s, 1000)
		small, ok := big.Get(s)
		require.False(t, ok, "nor is a number that doesn't fit")
		require.Zero(t, small)
		items.Delete(s)
		_, ok = items.Get(s)
		require.False(t, ok)
	}))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{"n"}, slices.Collect(s.Keys()))
}

func TestFlashesAreShownOnce(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	const writers = 10
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			if err := a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error { s.AddFlash(i); return nil }); err != nil {
				t.Errorf("add: %v", err)
			}
		})
	}
	all.Wait()
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		require.NotContains(t, slices.Collect(s.Keys()), "_flash")
		_, ok := s.Get("_flash")
		require.False(t, ok, "flashes are no value")
	}))
	require.ErrorIs(t, a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
		require.Len(t, s.Flashes(), writers)
		return testkit.ErrApp
	}), testkit.ErrApp)
	var shown []any
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { shown = s.Flashes(); require.Empty(t, s.Flashes()) }))
	require.Len(t, shown, writers, "a failed function has taken none")
	for i := range writers {
		require.Contains(t, shown, int64(i))
	}
	revision := teststore.Stored(t, st, id).Revision
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { require.Empty(t, s.Flashes()) }))
	require.Equal(t, revision, teststore.Stored(t, st, id).Revision)
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.AddFlash("a"); s.Clear() }))
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { require.Empty(t, s.Flashes(), "Clear removes flashes, too") }))
	err := a.Update(t, id, func(s *bridge.Session) { s.AddFlash(make(chan int)) })
	var bad *bridge.ValueError
	require.ErrorAs(t, err, &bad)
}

// A Session that somebody kept is of no use after its last commit, and says so.
func TestSessionAfterItsLastCommit(t *testing.T) {
	var log bytes.Buffer
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var kept []*bridge.Session
	a.SessionPage("/keep", func(s *bridge.Session) (any, error) { kept = append(kept, s); s.Set("k", "v"); return s.ID(), nil })
	id := webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/keep").Body.String()
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { kept = append(kept, s) }))
	snapshot, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	kept = append(kept, snapshot)
	require.Len(t, kept, 3)
	before := teststore.Stored(t, st, id)
	for i, s := range kept {
		v, ok := s.Get("k")
		require.True(t, ok)
		require.Equal(t, "v", v, "it can still be read")
		require.ErrorIs(t, s.Encode(map[string]int{"a": 1}), bridge.ErrSessionClosed)
		require.Error(t, s.Login("ada"))
		require.Error(t, s.Rotate())
		for _, change := range []func(){
			func() { s.Set("k", 2) },
			func() { s.Delete("k") }, s.Clear, func() { s.AddFlash(1) }, s.Destroy, s.Logout,
			func() { s.SetIdleTimeout(1e9) },
			func() { s.SetLifetime(1e9) },
		} {
			lost := a.Stats().ClosedWrites
			log.Reset()
			change()
			require.Equal(t, lost+1, a.Stats().ClosedWrites, "session %d", i)
			require.Contains(t, log.String(), "level=WARN")
			require.NotContains(t, log.String(), id, "IDs are logged as a hash")
		}
		v, _ = s.Get("k")
		require.Equal(t, "v", v)
	}
	require.Equal(t, before, teststore.Stored(t, st, id))
}

func TestNestedFailureUndoesOnlyItsOwn(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	keys := func() []string {
		s, err := a.GetByID(t.Context(), id)
		require.NoError(t, err)
		return slices.Sorted(s.Keys())
	}
	set := func(key string, result error) func(context.Context, *bridge.Session) error {
		return func(_ context.Context, s *bridge.Session) error { s.Set(key, true); return result }
	}
	require.NoError(t, a.UpdateByID(t.Context(), id, func(ctx context.Context, s *bridge.Session) error {
		s.Set("outer", true)
		require.ErrorIs(t, a.UpdateByID(ctx, id, set("failed", testkit.ErrApp)), testkit.ErrApp)
		require.NoError(t, a.UpdateByID(ctx, id, set("inner", nil)))
		require.Panics(t, func() {
			_ = a.UpdateByID(ctx, id, func(_ context.Context, s *bridge.Session) error { s.Set("panicked", true); panic("inner") })
		})
		return nil
	}))
	require.Equal(t, []string{"inner", "n", "outer"}, keys())
	require.ErrorIs(t, a.UpdateByID(t.Context(), id, func(ctx context.Context, s *bridge.Session) error {
		return errors.Join(a.UpdateByID(ctx, id, set("lost with the outer", nil)), testkit.ErrApp)
	}), testkit.ErrApp)
	require.Equal(t, []string{"inner", "n", "outer"}, keys())
}

func TestNestedOnAnotherSessionIsAnError(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	visitor := webclient.Pocket{}
	h := a.Handler(a.Mux)
	visitor.Get(t, h, "/inc")
	other := visitor.Get(t, h, "/id").Body.String()
	nothing := func(context.Context, *bridge.Session) error { return nil }
	var kept context.Context
	require.NoError(t, a.UpdateByID(t.Context(), id, func(ctx context.Context, _ *bridge.Session) error {
		kept = ctx
		require.ErrorIs(t, a.UpdateByID(ctx, other, nothing), bridge.ErrNested)
		require.ErrorIs(t, a.SetByID(ctx, other, nil, 0), bridge.ErrNested)
		return nil
	}))
	require.NoError(t, a.UpdateByID(kept, other, nothing), "the mark dies when the function returns")
	require.NoError(t, a.UpdateByID(kept, id, nothing))
}

func TestRequestInsideAnUpdateOfAnotherSessionIsNested(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	a.Page("/both", func(r *http.Request) (any, error) {
		var inner, session error
		err := a.UpdateByID(r.Context(), id, func(ctx context.Context, _ *bridge.Session) error {
			inner = a.WithSession(r.WithContext(ctx), func(context.Context, *bridge.Session) error { return nil }, nil)
			_, session = a.Session(r.WithContext(ctx))
			return nil
		})
		return errors.Is(inner, bridge.ErrNested) && errors.Is(session, bridge.ErrNested), err
	})
	visitor := webclient.Pocket{}
	h := a.Handler(a.Mux)
	visitor.Get(t, h, "/inc")
	require.Equal(t, "true", visitor.Get(t, h, "/both").Body.String())
}
