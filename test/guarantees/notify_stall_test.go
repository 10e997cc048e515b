package guarantees_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// When a network goes down, all connections through it block at the same message.
func TestG12_ThousandSocketsThatGetStuckAtOnceDelayNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const stuck, fast = 1000, 100
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: bridge.Off, Lifetime: bridge.Off, AutoCleanup: bridge.Off})
		gone := make(chan struct{})
		var reached atomic.Int64
		var links []*bridge.Link
		defer func() {
			close(gone)
			for _, l := range links {
				l.Detach()
			}
		}()
		for i := range stuck + fast {
			link, _ := testkit.Attach(t, a, func(int, string) {})
			link.OnNotify(0, bridge.CloseSlow, func(websocket.MessageType, []byte) error {
				if i < stuck {
					<-gone
				} else {
					reached.Add(1)
				}
				return nil
			})
			links = append(links, link)
		}
		a.MustNotify(t, bridge.To{All: true}, "hello", stuck+fast)
		time.Sleep(200 * time.Millisecond)
		require.EqualValues(t, fast, reached.Load(), "a fifth of a second later")
	})
}
