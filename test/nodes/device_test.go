package nodes_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// deviceOptions are those of nodes that bind sessions to devices.
func deviceOptions() bridge.Options {
	return bridge.Options{
		Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways, DeviceBound: &bridge.DeviceBound{},
	}
}

func TestG13_NodesShareABinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, deviceOptions())
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewSecureBrowser(t, here)
		login := ada.Get("/login?user=ada")
		unproved := ada.Another().At(there).Dial("/ws").Listen()
		d := ada.At(there).Register(login.Header)
		require.NotEqual(t, `""`, unproved.Ask("id"))
		ada.OK("/inc") // the first request with the bound cookie
		require.Equal(t, bridge.CodeReconnect, unproved.ClosedWithin(20*time.Minute))

		tab := ada.At(there).Dial("/ws").Listen()
		for i := range 4 { // at the nodes in turn
			time.Sleep(9 * time.Minute)
			d.Browser = ada.At([]*webclient.Site{here, there}[i%2])
			d.Fresh()
			require.NotContains(t, tab.Ask("inc"), "error")
		}
		last := time.Now()
		require.Equal(t, bridge.CodeReconnect, tab.ClosedWithin(20*time.Minute))
		require.WithinDuration(t, last.Add(10*time.Minute), time.Now(), time.Second)
		for _, s := range []*webclient.Site{here, there} {
			require.Equal(t, "0", ada.Another().At(s).OK("/get"))
		}
	})
}

// TestG13_ProcessesOnRedis: registration, refreshes and refusals at two processes that share a
// Redis.
func TestG13_ProcessesOnRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	sites := make([]*webclient.Site, 2)
	for i := range sites {
		st, err := redisstore.Open(t.Context(), s.URL(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		opts := deviceOptions()
		sites[i] = testkit.NewApp(t, st, &opts).ServeInMemory(t)
	}
	ada := webclient.NewSecureBrowser(t, sites[0])
	login := ada.Get("/login?user=ada")
	before := ada.Another().At(sites[1]).Dial("/ws").Listen()
	d := ada.At(sites[1]).Register(login.Header)
	require.Equal(t, "1", ada.OK("/inc"))
	require.Equal(t, bridge.CodeReconnect, before.Closed())

	thief := ada.Another()
	thief.SetCookie(d.CookieName, "")
	for _, site := range sites {
		require.Equal(t, "0", thief.At(site).OK("/get"))
	}
	challenge := d.ReadChallenge(d.TryRefresh(""))
	var all sync.WaitGroup
	replies := make([]webclient.Reply, 6)
	for i := range replies {
		tab := *d
		tab.Browser = ada.At(sites[i%2])
		proof := tab.Proof(challenge, false)
		all.Go(func() { replies[i] = tab.TryRefresh(proof) })
	}
	all.Wait()
	values := make(map[string]bool)
	for _, rep := range replies {
		require.Equal(t, http.StatusOK, rep.Status)
		for _, c := range (&http.Response{Header: rep.Header}).Cookies() {
			values[c.Value] = true
		}
	}
	require.Len(t, values, 1, "the proof counts once")
	require.Equal(t, "1", ada.OK("/get"))
	ada.At(sites[1]).OK("/logout")
	rep, _ := d.Refresh()
	require.Contains(t, rep.Body, `"continue":false`)
}
