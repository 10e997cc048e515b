package guarantees_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

func TestG13_SocketsEndWithoutARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		start := time.Now()
		time.Sleep(3 * time.Minute)
		ws := br.Dial("/ws").Listen()
		thief := br.Another().Dial("/ws").Listen()
		require.NotEqual(t, `""`, ws.Ask("id"))
		require.Equal(t, bridge.CodeReconnect, ws.ClosedWithin(2*deviceLife))
		require.WithinDuration(t, start.Add(deviceLife), time.Now(), time.Second)
		require.Equal(t, bridge.CodeReconnect, thief.ClosedWithin(2*deviceLife))
		require.WithinDuration(t, start.Add(deviceLife), time.Now(), 2*time.Second)

		d.Fresh() // before the handshake with which the page comes back
		require.NotEqual(t, `""`, br.Dial("/ws").Ask("id"))
	})
}

func TestG13_SocketsStayWithRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		ws := br.Dial("/ws").Listen()
		for range 5 {
			time.Sleep(deviceLife - time.Minute)
			d.Fresh()
			require.NotContains(t, ws.Ask("get"), "error")
		}
		last := time.Now()
		require.Equal(t, bridge.CodeReconnect, ws.ClosedWithin(2*deviceLife))
		require.WithinDuration(t, last.Add(deviceLife), time.Now(), time.Second)
	})
}

// A thief may have been quicker than the registration.
func TestG13_SocketsThatProvedNoDeviceEndWithTheFirstProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		login := br.Get("/login?user=ann")
		before := br.Another().Dial("/ws").Listen()
		br.Register(login.Header)
		require.NotEqual(t, `""`, before.Ask("id"), "the binding is not in force yet")
		ws := br.Dial("/ws").Listen() // the first request with the bound cookie
		require.Equal(t, bridge.CodeReconnect, before.ClosedWithin(2*deviceLife))
		require.NotEqual(t, `""`, ws.Ask("id"))
		require.NotContains(t, ws.Ask("inc"), "error")
	})
}

// A thief's handshake may be under way when the binding takes effect, and another connection has
// proved the device by the time it is registered.
func TestG13_SocketsThatProvedNoDeviceEndWithTheFirstProof_DuringTheirHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		between := func() {}
		site := webclient.ServeInMemory(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { between() }))
		br := webclient.NewSecureBrowser(t, site)
		login := br.Get("/login?user=ann")
		thief := br.Another()
		br.Register(login.Header)
		var ws *webclient.Socket
		between = func() {
			between = func() {}
			ws = br.Dial("/ws").Listen() // the first request with the bound cookie
			require.NotEqual(t, `""`, ws.Ask("id"))
		}
		start := time.Now()
		require.Equal(t, bridge.CodeReconnect, thief.Dial("/ws").ClosedWithin(2*deviceLife))
		require.Zero(t, time.Since(start), "at once, in fake time")
		require.NotContains(t, ws.Ask("inc"), "error")
	})
}

func TestG13_TheMissingReasonOfASocketIsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, _ := a.bound(t)
		reasons := make(chan bridge.MissingReason, 1)
		a.Mux.HandleFunc("/stream", func(_ http.ResponseWriter, r *http.Request) {
			closed := make(chan struct{})
			l, err := a.Attach(r, func(code int, _ string) {
				if code == bridge.CodeReconnect {
					close(closed)
				}
			})
			if err != nil {
				return
			}
			defer l.Detach()
			select {
			case <-closed:
				reasons <- l.MissingReason()
			case <-time.After(2 * deviceLife):
				reasons <- "still open"
			}
		})
		br.OK("/stream")
		require.Equal(t, bridge.MissingDevice, <-reasons)
	})
}

func TestG13_TicketsOpenSocketsOfABoundSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.Page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
		br, d := a.bound(t)
		start := time.Now()
		ws, _, err := br.WithoutJar().DialTicket("/ws", br.OK("/ticket"))
		require.NoError(t, err)
		ws.Listen()
		require.NotEqual(t, `""`, ws.Ask("id"))
		require.Equal(t, bridge.CodeReconnect, ws.ClosedWithin(2*deviceLife))
		require.WithinDuration(t, start.Add(deviceLife), time.Now(), time.Second)

		require.NotEqual(t, http.StatusOK, br.Get("/ticket").Status, "without the bound cookie there is no session")
		d.Fresh()
		ws, _, err = br.WithoutJar().DialTicket("/ws", br.OK("/ticket"))
		require.NoError(t, err)
		require.NotEqual(t, `""`, ws.Listen().Ask("id"))
	})
}

func TestG13_PerConnectionSessionsEndWithoutARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.Mux.Handle("/holder", a.PerConnection(func(ctx context.Context, _ *bridge.Conn, s *bridge.Session) error {
			s.Set("held", true)
			<-ctx.Done()
			return context.Cause(ctx)
		}, nil))
		a.SessionPage("/held", func(s *bridge.Session) (any, error) { v, _ := s.Get("held"); return v, nil })
		br, d := a.bound(t)
		start := time.Now()
		ws := br.Dial("/holder").Listen()
		require.Equal(t, bridge.CodeReconnect, ws.ClosedWithin(2*deviceLife))
		require.WithinDuration(t, start.Add(deviceLife), time.Now(), 2*time.Second)
		d.Fresh()
		require.Equal(t, "true", br.OK("/held"), "its changes are stored")
	})
}
