package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// stores are a store with every capability, and one of somebody's own with none.
var stores = map[string]func() (store.Store, *livestore.Store){
	"every capability": func() (store.Store, *livestore.Store) { st := livestore.New(); return st, st },
	"three methods":    func() (store.Store, *livestore.Store) { st := livestore.New(); return teststore.Minimal{Store: st}, st },
}

func TestByIDMethodsOnEveryStore(t *testing.T) {
	for name, makeStore := range stores {
		t.Run(name, func(t *testing.T) {
			st, behind := makeStore()
			a := testkit.NewApp(t, st, nil)
			h := a.Handler(a.Mux)
			visitor := webclient.Pocket{}
			visitor.Get(t, h, "/inc")
			id := visitor.Get(t, h, "/id").Body.String()
			client, known := a.ClientIDOf(id)
			require.True(t, known)
			mapped, known := a.SessionIDOf(client)
			require.True(t, known)
			require.Equal(t, id, mapped)
			ctx := t.Context()
			add := func(ctx context.Context, s *bridge.Session) error {
				_, err := testkit.Increment(ctx, s)
				return err
			}
			require.NoError(t, a.UpdateByID(ctx, id, add))
			require.NoError(t, a.UpdateByClientID(ctx, client, add))
			s, err := a.GetByClientID(ctx, client)
			require.NoError(t, err)
			n, _ := testkit.Count.Get(s)
			require.Equal(t, 3, n)
			require.NoError(t, a.SetByClientID(ctx, client, map[string]any{"only": "this"}, time.Hour))
			s, err = a.GetByID(ctx, id)
			require.NoError(t, err)
			require.Equal(t, []string{"only"}, slices.Collect(s.Keys()))
			require.Equal(t, time.Hour, teststore.Stored(t, behind, id).Idle)
			require.NoError(t, a.SetByID(ctx, id, nil, bridge.Off))
			require.Zero(t, teststore.Stored(t, behind, id).Idle)
			require.NoError(t, a.SetByID(ctx, id, map[string]any{"n": 7}, 0))
			require.Zero(t, teststore.Stored(t, behind, id).Idle, "0 keeps it")
			require.Equal(t, "7", visitor.Get(t, h, "/get").Body.String())
			was, err := a.DestroyByClientID(ctx, client)
			require.NoError(t, err)
			require.True(t, was)
			require.Zero(t, teststore.StoredCount(t, behind))
			_, known = a.SessionIDOf(client)
			require.False(t, known)
		})
	}
}

func TestByIDMethodsCannotCreate(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	ctx := t.Context()
	never := func(context.Context, *bridge.Session) error { return errors.New("fn was called") }
	for _, id := range []string{"", "unknown", "00000000-0000-4000-8000-000000000000", "a\x00b"} {
		_, getErr := a.GetByID(ctx, id)
		_, clientErr := a.GetByClientID(ctx, id)
		for name, err := range map[string]error{
			"GetByID": getErr, "GetByClientID": clientErr,
			"UpdateByID": a.UpdateByID(ctx, id, never), "UpdateByClientID": a.UpdateByClientID(ctx, id, never),
			"SetByID": a.SetByID(ctx, id, map[string]any{"k": 1}, 0), "SetByClientID": a.SetByClientID(ctx, id, map[string]any{"k": 1}, 0),
		} {
			require.ErrorIs(t, err, bridge.ErrSessionMissing, "%s of %q", name, id)
		}
		was, err := a.DestroyByID(ctx, id)
		require.NoError(t, err)
		require.False(t, was)
		was, err = a.DestroyByClientID(ctx, id)
		require.NoError(t, err)
		require.False(t, was)
	}
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	a := testkit.NewApp(t, teststore.Minimal{Store: livestore.New()}, nil)
	ctx := t.Context()
	_, err := a.Cleanup(ctx)
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "store.Sweeper")
	require.False(t, a.StartAutoCleanup(time.Hour), "it can't")
	_, err = a.GetByClientID(ctx, "of another process")
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.ErrorContains(t, err, "store.ClientIndex")
	_, err = a.DestroyByClientID(ctx, "of another process")
	require.ErrorIs(t, err, bridge.ErrUnsupported, "there may be one, so it is no plain false")
	require.NoError(t, a.Ping(ctx), "it can't be asked")
}

func TestUpdateByIDCannotSetCookies(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	before := teststore.Stored(t, st, id)
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) {
		require.ErrorIs(t, s.Login("ada"), bridge.ErrNoCookies)
		require.ErrorIs(t, s.Rotate(), bridge.ErrNoCookies)
	}))
	require.Equal(t, before.TokenGeneration, teststore.Stored(t, st, id).TokenGeneration)
}

func TestDestroyCountsEvenIfTheFunctionFails(t *testing.T) {
	a, st, id := testkit.NewSessionOf(t, nil)
	ends := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
	require.ErrorIs(t, a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
		s.Destroy()
		return testkit.ErrApp
	}), testkit.ErrApp)
	require.Zero(t, teststore.StoredCount(t, st))
	require.Equal(t, id, ends.Next().SessionID)
}

func TestNotifyStoreReportsDirectMutations(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	events := a.Subscribe(t.Context(), 100)

	rec := teststore.Stored(t, st, id)
	rec.Data = []byte(`{"n":41}`)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	a.NotifyStoreSet(id, false)
	require.Equal(t, bridge.SessionSet{ClientID: rec.ClientID, SessionID: id, Via: bridge.ViaStore}, await.Receive(t, events))
	require.Equal(t, "42", ws.Ask("inc"))
	require.IsType(t, bridge.SessionSet{}, await.Receive(t, events))

	other := rec
	other.ID, other.Revision, other.ClientID = "0b0e7f3c-5a0c-4c8e-9b93-1f6a3d7f5a10", 0, "7d1c3c0e-8a52-4d6f-8f0e-3f4a5b6c7d8e"
	_, err = st.Set(t.Context(), other)
	require.NoError(t, err)
	a.NotifyStoreSet(other.ID, true)
	require.Equal(t, bridge.SessionSet{ClientID: other.ClientID, SessionID: other.ID, IsNew: true, IsInit: true, Via: bridge.ViaStore}, await.Receive(t, events))
	mapped, _ := a.SessionIDOf(other.ClientID)
	require.Equal(t, other.ID, mapped)

	_, err = st.Destroy(t.Context(), id)
	require.NoError(t, err)
	a.NotifyStoreDestroy(id)
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
	require.Equal(t, bridge.SessionDestroy{ClientID: rec.ClientID, SessionID: id, Reason: bridge.ReasonDestroyed, Via: bridge.ViaStore}, await.Receive(t, events))
	a.NotifyStoreCleanup(-1)
	a.NotifyStoreCleanup(3)
	for {
		if ev, ok := await.Receive(t, events).(bridge.Cleanup); ok {
			require.Equal(t, 3, ev.Cleared)
			break
		}
	}
	a.NotifyStoreSet("unknown", true)
	_, known := a.ClientIDOf("unknown")
	require.False(t, known, "what the store doesn't have is not reported")
}

func TestUseWithoutTheMiddleware(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.NoError(t, err)
	_, sessionErr := b.Session(r)
	_, attachErr := b.Attach(r, func(int, string) {})
	_, valueErr := bridge.WithSession(t.Context(), b.For(r), testkit.Increment, nil)
	for _, err := range []error{
		sessionErr, attachErr, valueErr, b.WithSession(r, func(context.Context, *bridge.Session) error { return nil }, nil),
	} {
		require.ErrorIs(t, err, bridge.ErrNoMiddleware)
	}
	require.Empty(t, b.HandshakeHeader(r))
	_, known := bridge.ClientIDFrom(t.Context())
	require.False(t, known)
	_, known = bridge.SessionIDFrom(t.Context())
	require.False(t, known)
}
