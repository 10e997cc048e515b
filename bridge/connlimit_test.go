package bridge_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS11_ConnsPerSessionAreLimited(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 2})
	site := a.serve(t)
	br, other := newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")
	other.ok("/inc")
	one, two := br.dial("/ws"), br.dial("/ws")
	one.ask("id")
	two.ask("id")
	require.Equal(t, bridge.CodePolicy, br.dial("/ws").closed())
	other.dial("/ws").ask("id")
	require.NoError(t, one.ws.CloseNow())
	openConns(t, a.Bridge, bridge.ConnFilter{SessionID: br.ok("/id")}, 1)
	br.dial("/ws").ask("id")
	two.ask("id")
}

func TestS11_ConnsPerSessionAreLimitedHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	const most, tabs = 5, 40
	a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: most})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	var wg sync.WaitGroup
	refused := make(chan int, tabs)
	for range tabs {
		wg.Go(func() {
			if s, _, err := br.tryDial("/ws", nil); err == nil {
				s.listen()
				<-s.inbox // closed, or open until the test ends
				refused <- 1
			}
		})
	}
	for range tabs - most {
		<-refused
	}
	require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{}), most)
	_, err := a.CloseConns(t.Context(), bridge.ConnFilter{SessionID: br.ok("/id")}, bridge.CodePolicy, "enough")
	require.NoError(t, err)
	wg.Wait()
}

func TestS11_OldestConnGoesForANewerOne(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 2, OnTooManyConns: bridge.EvictOldestConn})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	sockets := []*socket{}
	for range 5 {
		s := br.dial("/ws")
		s.ask("inc")
		sockets = append(sockets, s)
	}
	for _, s := range sockets[:3] {
		require.Equal(t, bridge.CodePolicy, s.closed())
	}
	for _, s := range sockets[3:] {
		s.ask("inc")
	}
}

func TestS11_ConnsPerAddressAreLimited(t *testing.T) {
	for _, policy := range []bridge.ConnLimitPolicy{bridge.RefuseConn, bridge.EvictOldestConn} {
		a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerAddr: 2, OnTooManyConns: policy, TrustedProxies: []string{"127.0.0.1"}})
		site := a.serve(t)
		from := func(addr string) (*socket, *http.Response, error) {
			return newBrowser(t, site).tryDial("/ws", http.Header{"X-Forwarded-For": {addr}})
		}
		var sockets []*socket
		for range 2 {
			s, _, err := from("192.0.2.7")
			require.NoError(t, err)
			s.ask("id")
			sockets = append(sockets, s)
		}
		third, res, err := from("192.0.2.7")
		if policy == bridge.RefuseConn {
			require.Error(t, err)
			require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			sockets[0].ask("id")
		} else {
			require.NoError(t, err)
			third.ask("id")
			require.Equal(t, bridge.CodePolicy, sockets[0].closed())
		}
		sockets[1].ask("id")
		elsewhere, _, err := from("192.0.2.8")
		require.NoError(t, err)
		elsewhere.ask("id")
		require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{Addr: "192.0.2.7"}), 2)
	}
}

func TestS11_AnIPv6NetworkIsOneAddress(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerAddr: 1, TrustedProxies: []string{"127.0.0.1"}})
	site := a.serve(t)
	from := func(addr string) error {
		s, _, err := newBrowser(t, site).tryDial("/ws", http.Header{"X-Forwarded-For": {addr}})
		if err == nil {
			s.ask("id")
		}
		return err
	}
	require.NoError(t, from("2001:db8:1:2::1"))
	require.Error(t, from("2001:db8:1:2:ffff::9"))
	require.NoError(t, from("2001:db8:1:3::1"))
	require.NoError(t, from("192.0.2.1"))
	require.NoError(t, from("192.0.2.2"))
	require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{Addr: "2001:db8:1:2::1"}), 1)
	require.Empty(t, conns(t, a.Bridge, bridge.ConnFilter{Addr: "2001:db8:1:2::2"}))
}
