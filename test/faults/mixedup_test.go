package faults_test

import (
	"context"
	"iter"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// mixedStore returns records that bend has changed, like a connection that is one reply behind.
type mixedStore struct {
	*livestore.Store
	mu   sync.Mutex
	bend map[string]func(store.Record) store.Record // by method
}

func newMixedStore() *mixedStore {
	return &mixedStore{Store: livestore.New(), bend: map[string]func(store.Record) store.Record{}}
}

// mix has a method return its records as bend changes them; nil: unchanged.
func (m *mixedStore) mix(method string, bend func(store.Record) store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bend[method] = bend
}

func (m *mixedStore) bent(method string, rec store.Record) store.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bend := m.bend[method]; bend != nil {
		return bend(rec)
	}
	return rec
}

func (m *mixedStore) all(method string, all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range all {
			if !yield(m.bent(method, rec), err) {
				return
			}
		}
	}
}

func (m *mixedStore) Get(ctx context.Context, id string) (store.Record, error) {
	rec, err := m.Store.Get(ctx, id)
	return m.bent("Get", rec), err
}

func (m *mixedStore) GetCached(ctx context.Context, id string) (store.Record, error) {
	rec, err := m.Store.Get(ctx, id)
	return m.bent("GetCached", rec), err
}

func (m *mixedStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := m.Store.Set(ctx, rec)
	return m.bent("Set", store.Record{Revision: revision}).Revision, err
}

func (m *mixedStore) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return m.all("ByUser", m.Store.ByUser(ctx, userID))
}

func (m *mixedStore) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return m.all("ByClient", m.Store.ByClient(ctx, clientID))
}

func (m *mixedStore) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return m.all("List", m.Store.List(ctx))
}

func (m *mixedStore) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return m.all("ActiveSince", m.Store.ActiveSince(ctx, since))
}

func (m *mixedStore) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for active, err := range m.Store.ListActive(ctx, since, now) {
			rec := m.bent("ListActive", store.Record{ID: active.ID, UserID: active.UserID})
			if !yield(store.Active{ID: rec.ID, UserID: rec.UserID}, err) {
				return
			}
		}
	}
}

func (m *mixedStore) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	recs, err := m.Store.NewestByClient(ctx, clientID, n)
	for i := range recs {
		recs[i] = m.bent("NewestByClient", recs[i])
	}
	return recs, err
}

func (m *mixedStore) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	recs, err := m.Store.Sweep(ctx, now, n)
	m.mu.Lock()
	bend := m.bend["Sweep"]
	m.mu.Unlock()
	if bend != nil && len(recs) == 0 {
		recs = []store.Record{bend(store.Record{})}
	}
	return recs, err
}

func nothing(store.Record) store.Record { return store.Record{} }

// TestARecordOfAnotherSessionIsAFailureOfTheStore: it is never taken for the requested session, and
// nothing of it is changed or reported.
func TestARecordOfAnotherSessionIsAFailureOfTheStore(t *testing.T) {
	for name, bend := range map[string]func(bobs store.Record) func(store.Record) store.Record{
		"another's": func(bobs store.Record) func(store.Record) store.Record {
			return func(store.Record) store.Record { return bobs.Clone() }
		},
		"no record": func(store.Record) func(store.Record) store.Record { return nothing },
	} {
		for _, cached := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				st := newMixedStore()
				a := testkit.NewApp(t, st, &bridge.Options{CachedReads: cached})
				s := a.Serve(t)
				ada, bob := webclient.NewBrowser(t, s), webclient.NewBrowser(t, s)
				ada.OK("/login?user=ada")
				bob.OK("/inc")
				adas, bobs := ada.OK("/id"), bob.OK("/id")
				ws, idle := ada.Dial("/ws"), ada.Dial("/ws")
				require.Equal(t, "1", ws.Ask("inc"))
				require.NotEmpty(t, idle.Ask("id"), "its handshake is done")
				before := teststore.Stored(t, st.Store, bobs)
				wrong := bend(before)
				st.mix("GetCached", wrong)
				if cached {
					require.Equal(t, "2", ws.Ask("inc"), "what is cached is asked for again")
				}
				st.mix("Get", wrong)

				require.Contains(t, ws.Ask("inc"), "unavailable")
				for path, want := range map[string]int{"/inc": 503, "/get": 503, "/id": 503, "/plain": 200} {
					require.Equal(t, want, ada.Get(path).Status, path)
				}
				_, res, err := ada.TryDial("/ws", nil)
				require.Error(t, err)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				ctx := t.Context()
				_, getErr := a.GetByID(ctx, adas)
				for call, err := range map[string]error{
					"GetByID": getErr, "TouchByID": a.TouchByID(ctx, adas), "UpdateByID": a.Update(t, adas, func(s *bridge.Session) { s.Set("k", 1) }),
					"SetByID": a.SetByID(ctx, adas, nil, 0), "MergeByID": testkit.Merge(ctx, a.Bridge, adas, map[string]any{"k": 1}),
				} {
					require.ErrorIs(t, err, bridge.ErrStoreUnavailable, call)
					require.ErrorContains(t, err, "the store has answered with", call)
					require.NotContains(t, err.Error(), bobs, call)
				}
				st.mix("Get", nil)
				st.mix("GetCached", nil)
				require.Equal(t, before, teststore.Stored(t, st.Store, bobs), "bob's is as it was")
				require.NotEqual(t, `""`, idle.Ask("id"), "ada's sockets are hers still")
				require.Equal(t, "1", bob.OK("/get"))
				require.Equal(t, adas, ada.OK("/id"))
			})
		}
	}
}

// TestAnIndexThatAnswersWithAnothersSessionsIsAFailureOfTheStore: no other user is signed out or
// listed.
func TestAnIndexThatAnswersWithAnothersSessionsIsAFailureOfTheStore(t *testing.T) {
	st := newMixedStore()
	a := testkit.NewApp(t, st, nil)
	h := a.Handler(a.Mux)
	_, adas := testkit.SignIn(t, h, "ada")
	_, bobs := testkit.SignIn(t, h, "bob")
	ada, bob := teststore.Stored(t, st.Store, adas), teststore.Stored(t, st.Store, bobs)
	ctx := t.Context()
	list := func(f bridge.Filter) func() error {
		return func() error {
			for info, err := range a.Sessions(ctx, f) {
				if err != nil {
					return err
				}
				require.NotEqual(t, bobs, info.ID)
			}
			return nil
		}
	}
	anothers := func(store.Record) store.Record { return bob.Clone() }
	for _, c := range []struct {
		method, name string
		bend         func(store.Record) store.Record
		do           func() error
	}{
		{"ByUser", "Sessions", anothers, list(bridge.Filter{UserID: "ada"})},
		{"ByUser", "Sessions", nothing, list(bridge.Filter{UserID: "ada"})},
		{"ByUser", "DestroyUser", anothers, func() error { _, err := a.DestroyUser(ctx, "ada"); return err }},
		{"ByClient", "Sessions", anothers, list(bridge.Filter{ClientID: ada.ClientID})},
		{"NewestByClient", "DestroyByClientID", anothers, func() error { _, err := a.DestroyByClientID(ctx, ada.ClientID); return err }},
		{"NewestByClient", "DestroyByClientID", nothing, func() error { _, err := a.DestroyByClientID(ctx, ada.ClientID); return err }},
		{"NewestByClient", "GetByClientID", anothers, func() error { _, err := a.GetByClientID(ctx, ada.ClientID); return err }},
		{"ActiveSince", "Sessions", nothing, list(bridge.Filter{})},
		{"ListActive", "Activity", nothing, func() error { _, err := a.Activity(ctx, time.Hour); return err }},
		{"List", "DestroyAll", nothing, func() error { _, err := a.DestroyAll(ctx); return err }},
	} {
		st.mix(c.method, c.bend)
		err := c.do()
		st.mix(c.method, nil)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable, "%s through %s", c.name, c.method)
		require.ErrorContains(t, err, "the store has answered with")
		require.True(t, testkit.SessionExists(t, a.Bridge, adas) && testkit.SessionExists(t, a.Bridge, bobs), "%s through %s has ended nothing", c.name, c.method)
	}
}

// TestASweepThatAnswersWithALivingSessionIsAFailureOfTheStore: its sockets stay, and no end is
// reported.
func TestASweepThatAnswersWithALivingSessionIsAFailureOfTheStore(t *testing.T) {
	st := newMixedStore()
	a := testkit.NewApp(t, st, &bridge.Options{AutoCleanup: bridge.Off})
	ada := webclient.NewBrowser(t, a.Serve(t))
	ada.OK("/inc")
	id := ada.OK("/id")
	ws := ada.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	ends := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
	living := teststore.Stored(t, st.Store, id)
	for name, bend := range map[string]func(store.Record) store.Record{
		"living": func(store.Record) store.Record { return living.Clone() }, "no record": nothing,
	} {
		st.mix("Sweep", bend)
		n, err := a.Cleanup(t.Context())
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable, name)
		require.Zero(t, n, name)
	}
	require.Equal(t, "3", ws.Ask("inc"))
	require.Empty(t, ends.Rest())
}

// TestASetThatAnswersWithAnOldRevisionIsAFailureOfTheStore: its outcome is unknown.
func TestASetThatAnswersWithAnOldRevisionIsAFailureOfTheStore(t *testing.T) {
	st := newMixedStore()
	a := testkit.NewApp(t, st, nil)
	ada := webclient.NewBrowser(t, a.Serve(t))
	ada.OK("/inc")
	st.mix("Set", nothing)
	require.Equal(t, http.StatusServiceUnavailable, ada.Get("/inc").Status)
	require.Equal(t, http.StatusServiceUnavailable, webclient.NewBrowser(t, a.Serve(t)).Get("/inc").Status, "to create is no other")
	st.mix("Set", nil)
	ada.OK("/inc")
}

// TestATicketStoreThatAnswersWithAnotherTicketIsUnavailable: the ticket isn't invalid.
func TestATicketStoreThatAnswersWithAnotherTicketIsUnavailable(t *testing.T) {
	for name, tickets := range map[string]*mixedStore{"of another": newMixedStore(), "none": newMixedStore()} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewTicketApp(t, ticketSpace{livestore.New(), tickets}, nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			ticket := br.OK("/ticket")
			tickets.mix("Get", func(rec store.Record) store.Record {
				if name == "none" {
					return store.Record{}
				}
				rec.ID = "another"
				return rec
			})
			_, res, err := br.DialTicket("/ws", ticket)
			require.Error(t, err)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		})
	}
}

// ticketSpace is a store whose tickets are in another one.
type ticketSpace struct {
	*livestore.Store
	tickets *mixedStore
}

func (s ticketSpace) App(string) store.Store { return s.tickets }
