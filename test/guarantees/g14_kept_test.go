package guarantees_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// onEveryStore runs a test with an application on each store.
func onEveryStore(t *testing.T, test func(t *testing.T, a *testkit.App, s *webclient.Site)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) store.Store{
		"live": func(*testing.T) store.Store { return livestore.New() },
		"file": func(t *testing.T) store.Store {
			st, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
		"redis": func(t *testing.T) store.Store {
			st, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, open(t), &bridge.Options{Keys: [][]byte{testkit.Key()}})
			test(t, a, a.Serve(t))
		})
	}
}

func notifyKept(t *testing.T, b *bridge.Bridge, to bridge.To, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NoError(t, b.NotifyKept(t.Context(), to, time.Hour, []byte(text)))
	}
}

// G14: a connection that comes back gets what it has missed, in order, once: after a dead network, and
// after a login, which also brings it the messages of its user.
func TestG14_NothingMissedAtAReconnect(t *testing.T) {
	onEveryStore(t, func(t *testing.T, a *testkit.App, s *webclient.Site) {
		br := webclient.NewBrowser(t, s)
		br.OK("/inc")
		id := br.OK("/id")
		session, user := bridge.To{SessionID: id}, bridge.To{UserID: "ann"}

		c := br.DialKept("/ws", "")
		c.Expect("ready")
		notifyKept(t, a.Bridge, session, "1", "2")
		c.Expect("kept: 1", "kept: 2")
		position := c.Cut() // the network is dead
		notifyKept(t, a.Bridge, session, "3", "4")
		c = br.DialKept("/ws", position)
		c.Expect("kept: 3", "kept: 4", "ready")
		notifyKept(t, a.Bridge, session, "5")
		c.Expect("kept: 5")

		br.OK("/login?user=ann")
		notifyKept(t, a.Bridge, session, "6")
		notifyKept(t, a.Bridge, user, "hello", "ann")
		require.Equal(t, bridge.CodeReconnect, c.Closed())
		c = br.DialKept("/ws", c.Position)
		c.Expect("kept: 6", "kept: hello", "kept: ann", "ready")
		notifyKept(t, a.Bridge, user, "again")
		c.Expect("kept: again")
		c = br.DialKept("/ws", c.Cut())
		c.Expect("ready")
	})
}

// G14: what is gone is told, once, before what is still kept.
func TestG14_NothingMissedAtAReconnect_OrTheClientIsTold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, a *testkit.App, s *webclient.Site) {
		br := webclient.NewBrowser(t, s)
		br.OK("/inc")
		to := bridge.To{SessionID: br.OK("/id")}
		c := br.DialKept("/ws", "")
		c.Expect("ready")
		notifyKept(t, a.Bridge, to, "1")
		c.Expect("kept: 1")
		position := c.Cut()
		want := []string{"gone"}
		for i := range 300 { // Options.MaxKeptMessages is 256
			text := fmt.Sprint(i)
			notifyKept(t, a.Bridge, to, text)
			if i >= 300-256 {
				want = append(want, "kept: "+text)
			}
		}
		c = br.DialKept("/ws", position)
		c.Expect(append(want, "ready")...)
		c = br.DialKept("/ws", c.Cut())
		c.Expect("ready")
		for _, broken := range []string{"x", "0", position + "0", position[1:]} {
			c := br.DialKept("/ws", broken)
			for got := ""; got != "ready"; {
				got = c.Next()
			}
			_ = c.Cut()
		}
	})
}
