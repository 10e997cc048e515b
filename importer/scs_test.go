package importer_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/importer"
)

// scsKey is under which an scsManager keeps what it has loaded, as scs does.
type scsKey struct{}

// scsManager has one session of scs. The module compat tests with the real library.
type scsManager struct {
	token    string
	values   map[string]any
	deadline time.Time
	ended    bool
}

// Load returns a context that already has a session as it is, as scs does.
func (m *scsManager) Load(ctx context.Context, token string) (context.Context, error) {
	if ctx.Value(scsKey{}) != nil {
		return ctx, nil
	}
	loaded := ""
	if token == m.token && !m.ended {
		loaded = token
	}
	return context.WithValue(ctx, scsKey{}, loaded), nil
}

func (m *scsManager) Token(ctx context.Context) string { return ctx.Value(scsKey{}).(string) }

func (m *scsManager) Keys(context.Context) (keys []string) {
	for key := range m.values {
		keys = append(keys, key)
	}
	return keys
}

func (m *scsManager) Get(_ context.Context, key string) any { return m.values[key] }
func (m *scsManager) Deadline(context.Context) time.Time    { return m.deadline }
func (m *scsManager) Destroy(ctx context.Context) error {
	m.ended = m.Token(ctx) == m.token
	return nil
}

func (m *scsManager) visit(t *testing.T, token string) *http.Request {
	t.Helper()
	ctx, err := m.Load(t.Context(), "of the middleware")
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	return r
}

func TestSCSSessionIsThatOfTheCookie(t *testing.T) {
	m := &scsManager{token: "token", values: map[string]any{"user": "ada", "n": 3}, deadline: time.Now().Add(time.Hour)}
	importOf := importer.FromSCS(m, "session", importer.Options{UserID: byUser, Destroy: true})
	load := func(token string) (in *bridge.Import, user string, values map[string]any, ok bool) {
		in = importOf(m.visit(t, token))
		require.Equal(t, token, in.Key)
		var err error
		user, values, ok, err = in.Load(t.Context())
		require.NoError(t, err)
		return in, user, values, ok
	}
	_, _, _, ok := load("another")
	require.False(t, ok, "scs makes a new session for an unknown token")

	in, user, values, ok := load("token")
	require.True(t, ok)
	require.Equal(t, "ada", user)
	require.EqualValues(t, 3, values["n"])
	require.Equal(t, m.deadline, in.Expires)
	require.NoError(t, in.Done(t.Context()))
	require.True(t, m.ended)

	without, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.NoError(t, err)
	require.Nil(t, importOf(without))
}
