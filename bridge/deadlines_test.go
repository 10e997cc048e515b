package bridge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestFaultRepeatedHandshakesAddListeners(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/messages", a.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		return msg.Reply(msg.Data)
	}, nil))
	a.Mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		for {
			_, _, err := c.Read(ctx)
			if err != nil {
				return err
			}
			n, _ := testkit.Count.Get(s)
			if err := c.WriteJSON(ctx, n); err != nil {
				return err
			}
		}
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	deadlines := a.Deadlines()
	for range 50 {
		for _, path := range []string{"/messages", "/held"} {
			ws := br.Dial(path)
			require.Equal(t, "1", ws.Ask("1"))
			require.NoError(t, ws.Conn.Close(websocket.StatusNormalClosure, ""))
		}
	}
	require.Eventually(t, func() bool {
		return a.Stats().Conns == 0 && a.Deadlines() <= deadlines && testkit.Goroutines() == 1
	}, await.Limit, time.Millisecond, "goroutines: %d, deadlines: %d", testkit.Goroutines(), a.Deadlines())
}

func TestS08_TicketsInMemoryAreBoundedAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewTicketApp(t, teststore.Minimal{Store: livestore.New()}, nil)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		planned := a.Deadlines()
		first := p.Get(t, h, "/ticket").Body.String()
		time.Sleep(20 * time.Second)
		a.Page("/many", func(r *http.Request) (any, error) {
			for range tickets.MaxInMemory {
				if _, err := a.Ticket(r); err != nil {
					return nil, err
				}
			}
			return "many", nil
		})
		require.Equal(t, "many", p.Get(t, h, "/many").Body.String())
		w := httptest.NewRecorder()
		a.Upgrading().ServeHTTP(w, webclient.UpgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+first))
		require.Equal(t, http.StatusUnauthorized, w.Code, "the oldest had to go")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, planned, a.Deadlines(), "nothing is left to be done")
	})
}

// Whoever has a session can ask for tickets: what is kept of them is bounded by their lifetime, not
// by the cleanup of sessions.
func TestS08_TicketsThatNobodyRedeemsDontPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		a := testkit.NewTicketApp(t, st, &bridge.Options{AutoCleanup: bridge.Off, TicketLifetime: time.Minute})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		planned := a.Deadlines()
		for range 100 {
			for range 10 {
				p.Get(t, h, "/ticket")
			}
			require.LessOrEqual(t, teststore.StoredCount(t, kept), 130)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, teststore.StoredCount(t, kept))
		require.Equal(t, planned, a.Deadlines(), "nothing is left to be done")
		p.Get(t, h, "/ticket")
		require.Equal(t, 1, teststore.StoredCount(t, kept))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		require.Zero(t, teststore.StoredCount(t, kept))
	})
}

// One look at a session in each interval, however many sockets it has; and those of sessions that
// came at once don't come at once.
func TestS09_LooksAreOnePerSessionAndSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Lasting())
		a.Mux.Handle("/beating", a.WebSocket(testkit.Converse, nil))
		site := a.ServeInMemory(t)
		const sessions = 100
		for range sessions {
			br := webclient.NewBrowser(t, site)
			br.OK("/inc")
			br.Dial("/beating").WhenClosed()
			br.Dial("/beating").WhenClosed()
		}
		synctest.Wait()
		require.Equal(t, 3*sessions, a.Deadlines()-2, "one deadline for each session and each heartbeat, one to see who reads, and one of the Bridge's own")
		before, most := st.Count("Get"), 0
		for range 60 {
			last := st.Count("Get")
			time.Sleep(testkit.Revalidate / 60)
			synctest.Wait()
			most = max(most, st.Count("Get")-last)
		}
		looks := st.Count("Get") - before
		require.GreaterOrEqual(t, looks, sessions)
		require.LessOrEqual(t, looks, 2*sessions)
		require.Less(t, most, sessions/4, "spread over half of the interval: three or four in each sixtieth")
	})
}
