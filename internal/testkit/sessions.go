package testkit

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Rotated returns the cookies of a browser before and after it has visited a path that changes its
// token, and the handler of the application.
func Rotated(t *testing.T, path string, opts *bridge.Options) (before, after webclient.Pocket, h http.Handler) {
	t.Helper()
	a := NewApp(t, livestore.New(), opts)
	h = a.Handler(a.Mux)
	after = webclient.Pocket{}
	after.Get(t, h, "/inc")
	before = maps.Clone(after)
	require.Equal(t, http.StatusOK, after.Get(t, h, path).Code)
	require.NotEqual(t, before["sid"], after["sid"])
	return before, after, h
}

// SessionExists reports whether a session is stored.
func SessionExists(t testing.TB, b *bridge.Bridge, id string) bool {
	t.Helper()
	_, err := b.GetByID(t.Context(), id)
	if !errors.Is(err, bridge.ErrSessionMissing) {
		require.NoError(t, err)
	}
	return err == nil
}

// Atoi parses a decimal number.
func Atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// NewSessionOf returns an application, its store and the ID of a session in it.
func NewSessionOf(t testing.TB, opts *bridge.Options) (*App, *livestore.Store, string) {
	t.Helper()
	st := livestore.New()
	a := NewApp(t, st, opts)
	visitor := webclient.Pocket{}
	h := a.Handler(a.Mux)
	visitor.Get(t, h, "/inc")
	return a, st, visitor.Get(t, h, "/id").Body.String()
}

// Update changes a session by its ID.
func (a *App) Update(t testing.TB, id string, fn func(s *bridge.Session)) error {
	t.Helper()
	return a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error { fn(s); return nil })
}

// Merge is MergeByID for tests to which its error is enough.
func Merge(ctx context.Context, b *bridge.Bridge, id string, values map[string]any) error {
	_, err := b.MergeByID(ctx, id, values)
	return err
}

// Snapshot returns a session as it is stored.
func Snapshot(t testing.TB, a *App, id string) *bridge.Session {
	t.Helper()
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	return s
}

// SignIn logs in with a new client, and returns its cookies and its session's ID.
func SignIn(t testing.TB, app http.Handler, user string) (webclient.Pocket, string) {
	t.Helper()
	p := webclient.Pocket{}
	require.Equal(t, http.StatusOK, p.Get(t, app, "/login?user="+user).Code)
	return p, p.Get(t, app, "/id").Body.String()
}

// Listed returns the sessions that a filter matches, in order.
func Listed(t testing.TB, b *bridge.Bridge, f bridge.Filter) (all []bridge.Info) {
	t.Helper()
	for info, err := range b.Sessions(t.Context(), f) {
		require.NoError(t, err)
		all = append(all, info)
	}
	return all
}

// ListedIDs returns the IDs of the sessions that a filter matches, in order.
func ListedIDs(t testing.TB, b *bridge.Bridge, f bridge.Filter) (ids []string) {
	t.Helper()
	for _, info := range Listed(t, b, f) {
		ids = append(ids, info.ID)
	}
	return ids
}
