package bridge_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestNotifyReachesAConnFromTheMomentItIsReported: whoever learns of a connection can tell it
// something.
func TestNotifyReachesAConnFromTheMomentItIsReported(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var refused atomic.Int64
	a.OnConnOpen(func(e bridge.ConnOpen) {
		if n, err := a.Notify(t.Context(), bridge.To{ClientID: e.ClientID}, []byte("welcome")); n != 1 || err != nil {
			refused.Add(1)
		}
	})
	site := a.Serve(t)
	for range 200 {
		br := webclient.NewBrowser(t, site)
		s := br.Dial("/ws")
		require.Equal(t, "welcome", s.Hear())
		require.NoError(t, s.Conn.CloseNow())
	}
	require.Zero(t, refused.Load())
}
