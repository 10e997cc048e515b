package security_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// pulsed serves converse with the options at /pulse, in memory.
func pulsed(t *testing.T, o bridge.ConnOptions) (*testkit.App, *webclient.Browser) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: bridge.Off, Lifetime: bridge.Off, AutoCleanup: bridge.Off})
	a.Mux.Handle("/pulse", a.WebSocket(testkit.Converse, &o))
	br := webclient.NewBrowser(t, a.ServeInMemory(t))
	br.OK("/inc")
	return a, br
}

func TestS13_HeartbeatCutsAPeerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, br := pulsed(t, bridge.ConnOptions{})
		closed := make(chan bridge.ConnClose, 1)
		a.OnConnClose(func(e bridge.ConnClose) { closed <- e })
		br.Dial("/pulse") // the client doesn't read, so it sends no pong
		alive := br.Dial("/pulse").Listen()
		start := time.Now()
		require.Equal(t, -1, (<-closed).Code)
		require.GreaterOrEqual(t, time.Since(start), 30*time.Second, "of silence")
		require.LessOrEqual(t, time.Since(start), 41*time.Second, "and at most 10 s for the ping and its pong, and a tick")
		time.Sleep(24 * time.Hour)
		alive.Ask("id")
		require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 1)
	})
}

func TestHeartbeatOffLeavesSilentPeersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, br := pulsed(t, bridge.ConnOptions{Heartbeat: bridge.Off})
		silent := br.Dial("/pulse")
		time.Sleep(24 * time.Hour)
		silent.Ask("id")
		require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 1)
	})
}

func TestHeartbeatLeavesAConnOnWhichNobodyReadsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/deaf", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			time.Sleep(2 * time.Minute) // busy
			_, _, err := c.Read(ctx)
			if err == nil {
				err = c.WriteJSON(ctx, "heard")
			}
			return err
		}, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/deaf").Listen()
		time.Sleep(2*time.Minute - 5*time.Second)
		go ws.Say("hello")
		require.Equal(t, `"heard"`, <-ws.Inbox)
	})
}

func TestHeartbeatDoesNotCutAConnWhoseHandlerIsBusyWhileThePongComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/busy", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					return err
				}
				time.Sleep(20 * time.Second)
				if err := c.WriteJSON(ctx, "done"); err != nil {
					return err
				}
			}
		}, &bridge.ConnOptions{Heartbeat: 2 * time.Second}))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/busy").Listen()
		for range 20 {
			time.Sleep(1900 * time.Millisecond)
			go ws.Say("work") // in memory a message is taken when it is read
			require.Equal(t, `"done"`, <-ws.Inbox)
		}
	})
}

func TestS13_IdleConnIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := pulsed(t, bridge.ConnOptions{IdleTimeout: 5 * time.Minute})
		ws := br.Dial("/pulse").Listen()
		for range 5 {
			time.Sleep(4 * time.Minute)
			ws.Ask("id")
		}
		last := time.Now()
		require.Equal(t, bridge.CodeIdle, ws.ClosedEventually(), "its pongs are no messages")
		require.InDelta(t, 5*time.Minute, time.Since(last), float64(time.Second))
	})
}

func TestConnOfAgeIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := pulsed(t, bridge.ConnOptions{MaxAge: time.Hour})
		start := time.Now()
		ws := br.Dial("/pulse").Listen()
		for range 59 {
			time.Sleep(time.Minute)
			ws.Ask("id")
		}
		require.Equal(t, bridge.CodeIdle, ws.ClosedEventually())
		require.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
	})
}

// Timeouts that are longer than the 24.8 days of timers elsewhere.
func TestLongAgesAreNotShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, br := pulsed(t, bridge.ConnOptions{MaxAge: 60 * 24 * time.Hour, IdleTimeout: 50 * 24 * time.Hour, Heartbeat: bridge.Off})
		start := time.Now()
		ws := br.Dial("/pulse").Listen()
		time.Sleep(49 * 24 * time.Hour)
		ws.Ask("id")
		require.Equal(t, bridge.CodeIdle, ws.ClosedEventually())
		require.InDelta(t, 60*24*time.Hour, time.Since(start), float64(time.Second))
	})
}
