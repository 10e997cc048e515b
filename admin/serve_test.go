package admin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// serve serves an API on a loopback address, and returns its URL and what ends it.
func serve(t *testing.T, h http.Handler) (url string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.Serve(ctx, l, h) }()
	return "http://" + l.Addr().String(), func() error { cancel(); return <-ended }
}

func TestServerEndsWithItsContext(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	h, err := admin.Handler(b, nil)
	require.NoError(t, err)
	url, stop := serve(t, h)
	call := func(host string) int {
		r, err := http.NewRequestWithContext(t.Context(), post, url+"/v1/main/sessions", strings.NewReader(`{"user":"ada"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		return res.StatusCode
	}
	require.Equal(t, http.StatusCreated, call(""))
	require.Equal(t, http.StatusForbidden, call("evil.example"))
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, stop())
}

func TestAddressInUseIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	b := testkit.NewBridge(t, livestore.New(), nil)
	err = admin.ListenAndServe(t.Context(), b, &admin.Options{Addr: l.Addr().String()})
	require.ErrorContains(t, err, "admin:")
}
