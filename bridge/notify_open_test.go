package bridge_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestNotifyReachesAConnFromTheMomentItIsReported: whoever learns of a connection can tell it something.
func TestNotifyReachesAConnFromTheMomentItIsReported(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	var refused atomic.Int64
	a.OnConnOpen(func(e bridge.ConnOpen) {
		if n, err := a.Notify(t.Context(), bridge.To{ClientID: e.ClientID}, []byte("welcome")); n != 1 || err != nil {
			refused.Add(1)
		}
	})
	site := a.serve(t)
	for range 200 {
		br := newBrowser(t, site)
		s := br.dial("/ws")
		require.Equal(t, "welcome", s.hear())
		require.NoError(t, s.ws.CloseNow())
	}
	require.Zero(t, refused.Load())
}
