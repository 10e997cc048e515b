package security_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS11_ConnsPerSessionAreLimited(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 2})
	site := a.Serve(t)
	br, other := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	other.OK("/inc")
	one, two := br.Dial("/ws"), br.Dial("/ws")
	one.Ask("id")
	two.Ask("id")
	require.Equal(t, bridge.CodePolicy, br.Dial("/ws").Closed())
	other.Dial("/ws").Ask("id")
	require.NoError(t, one.Conn.CloseNow())
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{SessionID: br.OK("/id")}, 1)
	br.Dial("/ws").Ask("id")
	two.Ask("id")
}

func TestS11_ConnsPerSessionAreLimitedHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	const most, tabs = 5, 40
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: most})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	var wg sync.WaitGroup
	refused := make(chan int, tabs)
	for range tabs {
		wg.Go(func() {
			if s, _, err := br.TryDial("/ws", nil); err == nil {
				s.Listen()
				<-s.Inbox // closed, or open until the test ends
				refused <- 1
			}
		})
	}
	for range tabs - most {
		<-refused
	}
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), most)
	_, err := a.CloseConns(t.Context(), bridge.ConnFilter{SessionID: br.OK("/id")}, bridge.CodePolicy, "enough")
	require.NoError(t, err)
	wg.Wait()
}

func TestS11_OldestConnGoesForANewerOne(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 2, OnTooManyConns: bridge.EvictOldestConn})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	sockets := []*webclient.Socket{}
	for range 5 {
		s := br.Dial("/ws")
		s.Ask("inc")
		sockets = append(sockets, s)
	}
	for _, s := range sockets[:3] {
		require.Equal(t, bridge.CodePolicy, s.Closed())
	}
	for _, s := range sockets[3:] {
		s.Ask("inc")
	}
}

func TestS11_ConnsPerAddressAreLimited(t *testing.T) {
	for _, policy := range []bridge.ConnLimitPolicy{bridge.RefuseConn, bridge.EvictOldestConn} {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerAddr: 2, OnTooManyConns: policy, TrustedProxies: []string{"127.0.0.1"}})
		site := a.Serve(t)
		from := func(addr string) (*webclient.Socket, *http.Response, error) {
			return webclient.NewBrowser(t, site).TryDial("/ws", http.Header{"X-Forwarded-For": {addr}})
		}
		var sockets []*webclient.Socket
		for range 2 {
			s, _, err := from("192.0.2.7")
			require.NoError(t, err)
			s.Ask("id")
			sockets = append(sockets, s)
		}
		third, res, err := from("192.0.2.7")
		if policy == bridge.RefuseConn {
			require.Error(t, err)
			require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			sockets[0].Ask("id")
		} else {
			require.NoError(t, err)
			third.Ask("id")
			require.Equal(t, bridge.CodePolicy, sockets[0].Closed())
		}
		sockets[1].Ask("id")
		elsewhere, _, err := from("192.0.2.8")
		require.NoError(t, err)
		elsewhere.Ask("id")
		require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "192.0.2.7"}), 2)
	}
}

func TestS11_AnIPv6NetworkIsOneAddress(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerAddr: 1, TrustedProxies: []string{"127.0.0.1"}})
	site := a.Serve(t)
	from := func(addr string) error {
		s, _, err := webclient.NewBrowser(t, site).TryDial("/ws", http.Header{"X-Forwarded-For": {addr}})
		if err == nil {
			s.Ask("id")
		}
		return err
	}
	require.NoError(t, from("2001:db8:1:2::1"))
	require.Error(t, from("2001:db8:1:2:ffff::9"))
	require.NoError(t, from("2001:db8:1:3::1"))
	require.NoError(t, from("192.0.2.1"))
	require.NoError(t, from("192.0.2.2"))
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "2001:db8:1:2::1"}), 1)
	require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "2001:db8:1:2::2"}))
}
