package gorillastore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is a gateway over a store, and the ID of the session in it.
type base struct {
	g  *gateway.Gateway
	id string
}

func newBase(t *testing.T) *base {
	t.Helper()
	st := livestore.New()
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return &base{
		g: gateway.New(st, gateway.Config{
			TouchInterval: time.Minute, MaxValueBytes: 1 << 16, StoreTimeout: time.Second,
			Committed: func(gateway.Commit) {}, Ended: func(gateway.End) {}, Reason: func(any) string { return "" },
			Watched: func() bool { return false }, Doubted: func(string) {},
			Failed: func(context.Context, string, string, error) {},
		}),
		id: uuid.NewString(),
	}
}

// view is the session as one request sees it.
type view struct {
	*base
	draft  gateway.Draft
	reads  gorillastore.Reads
	ends   bool
	lose   func(commit func() error) error // called instead of the next commit
	sealed error
}

func (b *base) open(t *testing.T) *view {
	t.Helper()
	v := &view{base: b}
	rec, err := b.g.Load(t.Context(), b.id)
	if errors.Is(err, gateway.ErrMissing) {
		rec, err = store.Record{ID: b.id, ClientID: "c", Created: time.Now(), Lifetime: time.Hour}, nil
	}
	require.NoError(t, err)
	require.NoError(t, v.draft.Rebase(rec))
	return v
}

func (v *view) ID() string                   { return v.id }
func (v *view) View(do func(*gateway.Draft)) { do(&v.draft) }
func (v *view) Destroy()                     { v.ends = true }

func (v *view) Edit(do func(*gateway.Draft)) error {
	if v.sealed == nil {
		do(&v.draft)
	}
	return v.sealed
}

func (v *view) Commit(ctx context.Context) error {
	commit := func() error {
		if v.ends {
			_, err := v.g.Destroy(ctx, v.id, "c", nil)
			return err
		}
		return v.g.Commit(ctx, &v.draft, nil)
	}
	if lose := v.lose; lose != nil {
		v.lose = nil
		return lose(commit)
	}
	return commit()
}

func (v *view) Reload(ctx context.Context) error {
	rec, err := v.g.Load(ctx, v.id)
	if err != nil {
		return err
	}
	return v.draft.Rebase(rec)
}

// newStore returns a Store for the request that v belongs to, and what it logs.
func newStore(v *view) (*gorillastore.Store, *bytes.Buffer) {
	logged := new(bytes.Buffer)
	return gorillastore.New(gorillastore.Config{
		Name:        "main",
		Options:     sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
		Lifetime:    func() time.Duration { return time.Hour },
		MaxAge:      400 * 24 * time.Hour,
		MaxLifetime: 100 * 365 * 24 * time.Hour,
		Logger:      slog.New(slog.NewTextHandler(logged, nil)),
		Session: func(*http.Request) (gorillastore.Session, *gorillastore.Reads, error) {
			return v, &v.reads, v.sealed
		},
	}), logged
}

func read(t *testing.T, v *view, name string) *sessions.Session {
	t.Helper()
	st, _ := newStore(v)
	gs, err := st.New(httptest.NewRequest(http.MethodGet, "/", nil), name)
	require.NoError(t, err)
	return gs
}

func save(v *view, gs *sessions.Session) error {
	st, _ := newStore(v)
	return st.Save(httptest.NewRequest(http.MethodGet, "/", nil), nil, gs)
}

var errStore = errors.New("the store is away")

func TestSaveMergesKeyByKey(t *testing.T) {
	b := newBase(t)
	one := b.open(t)
	gs := read(t, one, "main")
	require.True(t, gs.IsNew)
	gs.Values["kept"], gs.Values["deleted"] = 1, 1
	require.NoError(t, save(one, gs))

	slow, quick := b.open(t), b.open(t)
	old, other := read(t, slow, "main"), read(t, quick, "main")
	require.False(t, old.IsNew)
	delete(other.Values, "deleted")
	other.Values["new"] = "other"
	require.NoError(t, save(quick, other))
	old.Values["mine"] = true
	require.NoError(t, save(slow, old))

	require.Equal(t, map[any]any{"kept": 1, "new": "other", "mine": true}, read(t, b.open(t), "main").Values)
}

func TestNamesAreNamespaces(t *testing.T) {
	b := newBase(t)
	v := b.open(t)
	main, oauth := read(t, v, "main"), read(t, v, "oauth")
	main.Values["state"], oauth.Values["state"] = "m", "o"
	require.NoError(t, save(v, main))
	require.NoError(t, save(v, oauth))

	v = b.open(t)
	oauth = read(t, v, "oauth")
	require.Equal(t, map[any]any{"state": "o"}, oauth.Values)
	oauth.Options.MaxAge = -1
	require.NoError(t, save(v, oauth))
	require.Empty(t, read(t, b.open(t), "oauth").Values)
	require.Equal(t, map[any]any{"state": "m"}, read(t, b.open(t), "main").Values)

	main = read(t, v, "main")
	main.Options.MaxAge = -1
	require.NoError(t, save(v, main))
	_, err := b.g.Load(t.Context(), b.id)
	require.ErrorIs(t, err, gateway.ErrMissing)
}

// A Save after one whose outcome is unknown repeats it: it recognizes the changes that were stored
// nevertheless, and keeps those that others have made since.
func TestSaveAfterOneThatFailed(t *testing.T) {
	for name, lose := range map[string]func(commit func() error) error{
		"nothing was stored": func(func() error) error { return errStore },
		"it was stored": func(commit func() error) error {
			if err := commit(); err != nil {
				return err
			}
			return errStore
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBase(t)
			v := b.open(t)
			gs := read(t, v, "main")
			gs.Values["a"], gs.Values["b"] = 1, 1
			require.NoError(t, save(v, gs))

			v.lose = lose
			gs.Values["a"] = 2
			require.ErrorIs(t, save(v, gs), errStore)

			other := b.open(t)
			theirs := read(t, other, "main")
			delete(theirs.Values, "b")
			require.NoError(t, save(other, theirs))

			gs.Values["a"] = 3
			require.NoError(t, save(v, gs))
			require.Equal(t, map[any]any{"a": 3}, read(t, b.open(t), "main").Values)
		})
	}
}

func TestMaxAge(t *testing.T) {
	b := newBase(t)
	v := b.open(t)
	gs := read(t, v, "main")
	require.Equal(t, 3600, gs.Options.MaxAge)
	gs.Values["a"], gs.Options.MaxAge = 1, 0
	require.NoError(t, save(v, gs))
	require.Zero(t, read(t, b.open(t), "main").Options.MaxAge)

	gs.Options.MaxAge = 7200
	require.NoError(t, save(v, gs))
	rec, err := b.g.Load(t.Context(), b.id)
	require.NoError(t, err)
	require.InDelta(t, 2*time.Hour, rec.Lifetime, float64(time.Minute))
	revision := rec.Revision
	require.NoError(t, save(v, gs))
	gs.Options.MaxAge = 7230 // within lifetimeStep
	require.NoError(t, save(v, gs))
	rec, err = b.g.Load(t.Context(), b.id)
	require.NoError(t, err)
	require.Equal(t, revision, rec.Revision)
}

func TestIgnoredOptionsAreLoggedOnce(t *testing.T) {
	v := newBase(t).open(t)
	st, logged := newStore(v)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for range 2 {
		gs, err := st.New(r, "main")
		require.NoError(t, err)
		gs.Values["a"] = 1
		gs.Options.Domain = "example.test"
		gs.Options.SameSite = http.SameSiteStrictMode
		require.NoError(t, st.Save(r, nil, gs))
		_, err = st.New(r, "other")
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(logged.String(), "Domain, SameSite"))
	require.Equal(t, 1, strings.Count(logged.String(), "values of its own"))
}

func TestSealedSession(t *testing.T) {
	v := newBase(t).open(t)
	gs := read(t, v, "main")
	v.sealed = errStore
	gs.Values["a"] = 1
	require.ErrorIs(t, save(v, gs), errStore)
	st, _ := newStore(v)
	gs, err := st.New(httptest.NewRequest(http.MethodGet, "/", nil), "main")
	require.ErrorIs(t, err, errStore)
	require.True(t, gs.IsNew)
	require.Equal(t, 3600, gs.Options.MaxAge)
}
