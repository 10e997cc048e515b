package main

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestAdminAPIIsServedUntilTheShutdown(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	a, err := newApp(livestore.New(), bridge.Options{Logger: logger})
	require.NoError(t, err)
	url, err := a.startAdmin("127.0.0.1:0", logger)
	require.NoError(t, err)
	for _, path := range []string{"/dashboard/", "/v1/main/stats"} {
		res, err := http.Get(url + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, path)
	}
	require.NoError(t, a.shutdown(t.Context()))
	_, err = http.Get(url)
	require.Error(t, err)
}
