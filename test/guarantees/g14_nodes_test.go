package guarantees_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// G14: a client comes back to another node, because of a deploy or a network that is dead, and misses
// nothing; messages come from any node.
func TestG14_NothingMissedAtAReconnect_OnAnotherNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/login?user=ada")
	session, user := bridge.To{SessionID: ada.OK("/id")}, bridge.To{UserID: "ada"}
	c := ada.DialKept("/ws", "")
	c.Expect("ready")
	notifyKept(t, apps[2].Bridge, session, "1")
	c.Expect("kept: 1")
	notifyKept(t, apps[1].Bridge, user, "2")
	c.Expect("kept: 2")
	require.NoError(t, apps[0].Shutdown(context.WithoutCancel(t.Context())))
	notifyKept(t, apps[2].Bridge, session, "3", "4")
	require.Equal(t, bridge.CodeShutdown, c.Closed())
	c = ada.At(there).DialKept("/ws", c.Position)
	c.Expect("kept: 3", "kept: 4", "ready")
	notifyKept(t, apps[1].Bridge, user, "5")
	c.Expect("kept: 5")
}

// G14: a node that misses the notification of a message gets it with the next one, or as soon as it
// hears the others again.
func TestG14_NothingMissedAtAReconnect_WhateverNotificationsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		ada := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		ada.OK("/login?user=ada")
		c := ada.DialKept("/ws", "")
		c.Expect("ready")
		to := bridge.To{UserID: "ada"}
		h.Node(0).SetNetwork(true, false) // it receives no notifications
		notifyKept(t, apps[1].Bridge, to, "1", "2")
		notifyKept(t, apps[0].Bridge, to, "3")
		c.Expect("kept: 1", "kept: 2", "kept: 3")
		notifyKept(t, apps[1].Bridge, to, "4")
		synctest.Wait()
		h.Node(0).SetNetwork(false, false)
		c.Expect("kept: 4")
		h.Node(0).SetNetwork(true, true) // it doesn't reach the store
		notifyKept(t, apps[1].Bridge, to, "5")
		time.Sleep(3 * time.Second)
		h.Node(0).SetNetwork(false, false)
		c.Expect("kept: 5")
	})
}

// G14: messages that are kept while a connection reads what it has missed come after that, once.
func TestG14_NothingMissedAtAReconnect_WhileMessagesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		to, turn, n, reads := bridge.To{UserID: "ada"}, new(ctxlock.Lock), 0, 20
		send := func() {
			_ = turn.Lock(t.Context())
			defer turn.Unlock()
			n++
			notifyKept(t, apps[1].Bridge, to, fmt.Sprint(n))
		}
		h.Node(0).BeforeKept = func(store.KeptFor) {
			_ = turn.Lock(t.Context())
			reads++
			few := reads <= 20
			turn.Unlock()
			if few {
				send()
			}
		}
		ada := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		ada.OK("/login?user=ada")
		c := ada.DialKept("/ws", "")
		c.Expect("ready")
		position := c.Cut()
		send()
		synctest.Wait()
		reads = 0 // from now on a message is kept during each read
		c = ada.DialKept("/ws", position)
		time.Sleep(time.Second)
		send()
		for want := 1; want <= n; {
			got := c.Next()
			if got == "ready" {
				continue
			}
			require.Equal(t, fmt.Sprintf("kept: %d", want), got)
			want++
		}
	})
}

// G14: nobody gets the messages of somebody else, whatever position he presents: not the next user of
// the browser, and not another session.
func TestG14_NothingMissedAtAReconnect_ByNobodyElse(t *testing.T) {
	onEveryStore(t, func(t *testing.T, a *testkit.App, s *webclient.Site) {
		br := webclient.NewBrowser(t, s)
		br.OK("/login?user=ann")
		session, ann := bridge.To{SessionID: br.OK("/id")}, bridge.To{UserID: "ann"}
		c := br.DialKept("/ws", "")
		c.Expect("ready")
		notifyKept(t, a.Bridge, ann, "secret 1")
		c.Expect("kept: secret 1")
		position := c.Cut()
		notifyKept(t, a.Bridge, ann, "secret 2")
		notifyKept(t, a.Bridge, session, "secret 3")
		_, err := a.DestroyUser(t.Context(), "ann")
		require.NoError(t, err)
		err = a.NotifyKept(t.Context(), session, time.Hour, []byte("nobody will read it"))
		require.ErrorIs(t, err, bridge.ErrSessionMissing)

		guest := br.DialKept("/ws", position) // without a session
		guest.Expect("ready")
		br.OK("/login?user=bob")
		bob := br.DialKept("/ws", guest.Position)
		bob.Expect("ready")
		notifyKept(t, a.Bridge, ann, "secret 4")
		notifyKept(t, a.Bridge, bridge.To{UserID: "bob"}, "for bob")
		bob.Expect("kept: for bob")

		br.OK("/logout")
		br.OK("/login?user=ann") // her messages follow her
		back := br.DialKept("/ws", bob.Position)
		back.Expect("kept: secret 2", "kept: secret 4", "ready")
	})
}
