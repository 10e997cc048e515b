package status_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/status"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// failing is a store that can be away.
type failing struct {
	*livestore.Store
	err error
}

func (f *failing) Ping(context.Context) error { return f.err }

func newBridge(t *testing.T) (*bridge.Bridge, *failing) {
	t.Helper()
	st := &failing{Store: livestore.New()}
	b, err := bridge.New(st, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	return b, st
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestProbes(t *testing.T) {
	b, st := newBridge(t)
	p := status.NewProbes(b)
	state := func() [2]int {
		return [2]int{get(p.Routes()["/livez"], "/livez").Code, get(p.Routes()["/readyz"], "/readyz").Code}
	}
	require.Equal(t, [2]int{204, 204}, state())
	st.err = errors.New("away")
	require.Equal(t, [2]int{204, 503}, state())
	st.err = nil
	require.Equal(t, [2]int{204, 204}, state())
	p.Stopping()
	require.Equal(t, [2]int{204, 503}, state())
}

// The metrics are those that the API gives to the same key.
func TestMetrics(t *testing.T) {
	b, _ := newBridge(t)
	_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAA"
	api, err := admin.Handler(b, &admin.Options{Keys: []admin.Key{{Name: "ops", Secret: key}}})
	require.NoError(t, err)
	metrics := status.Metrics(api, "main")

	w := get(metrics, "/metrics", "Authorization", "Bearer "+key)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "# TYPE sessionbridge_writes_total counter\nsessionbridge_writes_total 1\n")
	require.Contains(t, w.Body.String(), "# TYPE sessionbridge_conns gauge\nsessionbridge_conns 0\n")
	require.Contains(t, w.Body.String(), "# TYPE sessionbridge_healthy gauge\nsessionbridge_healthy 1\n")
	require.Contains(t, w.Body.String(), "\nsessionbridge_store_errors_total 0\n")

	w = get(metrics, "/metrics")
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.NotContains(t, w.Body.String(), "sessionbridge_")
}
