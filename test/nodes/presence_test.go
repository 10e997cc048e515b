package nodes_test

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

// watched is what a node reports of users.
type watched chan bridge.Presence

func watchUsers(t *testing.T, b *bridge.Bridge) watched {
	t.Helper()
	events := make(watched, 100)
	t.Cleanup(b.OnPresence(func(e bridge.Presence) { events <- e }))
	return events
}

// hears fails unless these come next, within a time.
func (w watched) hears(t *testing.T, within time.Duration, events ...bridge.Presence) {
	t.Helper()
	for _, want := range events {
		select {
		case got := <-w:
			require.Equal(t, want, got)
		case <-time.After(within):
			require.FailNow(t, "no event", "%+v", want)
		}
	}
	require.Empty(t, w)
}

// A user is online with the first connection to any node, and offline 5 s after the last. Each node
// that observes reports it once.
func TestPresenceOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 3, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		one, two := watchUsers(t, apps[1].Bridge), watchUsers(t, apps[2].Bridge)
		time.Sleep(time.Second)
		ann := webclient.NewBrowser(t, here)
		ann.OK("/login?user=ann")
		first := ann.Dial("/ws")
		first.Ask("id")
		for _, w := range []watched{one, two} {
			w.hears(t, time.Second, bridge.Presence{UserID: "ann", Online: true})
		}
		for _, ids := range [][]string{nil, {"ann"}, {"bob", "ann", "ann"}} {
			online, err := apps[2].Online(t.Context(), ids...)
			require.NoError(t, err)
			require.Equal(t, []string{"ann"}, online)
		}
		online, err := apps[0].Online(t.Context(), "bob")
		require.NoError(t, err)
		require.Empty(t, online)

		require.NoError(t, first.Conn.CloseNow())
		time.Sleep(3 * time.Second)
		second := ann.At(there).Dial("/ws") // at another node
		second.Ask("id")
		time.Sleep(time.Minute)
		one.hears(t, 0)
		require.Equal(t, 1, apps[1].Stats().Users)
		ann.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, second.Closed())
		for _, w := range []watched{one, two} {
			w.hears(t, 6*time.Second, bridge.Presence{UserID: "ann"})
		}

		bob := webclient.NewBrowser(t, here)
		bob.OK("/login?user=bob")
		bob.Dial("/ws").Ask("id")
		for _, w := range []watched{one, two} {
			w.hears(t, time.Second, bridge.Presence{UserID: "bob", Online: true})
		}
		h.Node(0).SetNetwork(true, true) // as if it were killed
		for _, w := range []watched{one, two} {
			w.hears(t, 15*time.Second, bridge.Presence{UserID: "bob"})
		}
		h.Node(0).SetNetwork(false, false)
		for _, w := range []watched{one, two} {
			w.hears(t, 15*time.Second, bridge.Presence{UserID: "bob", Online: true})
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = apps[0].Online(ended)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A node that begins to observe while it can't ask the others reports who has come since then, and not
// who was there before, once it can.
func TestPresenceIsObservedFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		at := apps[0].ServeInMemory(t)
		connect := func(user string) {
			br := webclient.NewBrowser(t, at)
			br.OK("/login?user=" + user)
			br.Dial("/ws").Ask("id")
		}
		connect("before")
		time.Sleep(time.Second)
		h.Node(1).SetNetwork(true, true)
		w := watchUsers(t, apps[1].Bridge)
		time.Sleep(time.Second)
		connect("ann")
		time.Sleep(10 * time.Second)
		w.hears(t, 0)
		h.Node(1).SetNetwork(false, false)
		w.hears(t, 15*time.Second, bridge.Presence{UserID: "ann", Online: true})
		time.Sleep(time.Minute)
		w.hears(t, 0)
	})
}

// In one process presence follows the connections; a guest has none. Subscribe doesn't report it.
func TestPresenceInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{PresenceGrace: bridge.Off})
		all := a.Subscribe(t.Context(), 100)
		w := watchUsers(t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		guest := br.Dial("/ws")
		guest.Ask("id")
		br.OK("/login?user=ann")
		require.Equal(t, bridge.CodeReconnect, guest.Closed())
		one, two := br.Dial("/ws"), br.Dial("/ws")
		one.Ask("id")
		two.Ask("id")
		w.hears(t, time.Second, bridge.Presence{UserID: "ann", Online: true})
		require.NoError(t, one.Conn.CloseNow())
		time.Sleep(time.Second)
		w.hears(t, 0)
		require.NoError(t, two.Conn.CloseNow())
		w.hears(t, time.Second, bridge.Presence{UserID: "ann"})
		for range len(all) {
			_, is := (<-all).(bridge.Presence)
			require.False(t, is)
		}
	})
}
