package nodes_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

func TestG4_DestroyReachesTheSocketsOfOtherNodes(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/inc")
	id := ada.OK("/id")
	tabs := []*webclient.Socket{ada.Dial("/ws"), ada.At(there).Dial("/ws"), ada.At(there).Dial("/ws")}
	require.Equal(t, "2", tabs[1].Ask("inc"))
	ended := testkit.Record[bridge.SessionDestroy](t, apps[1].Bridge)
	ada.OK("/logout")
	for _, tab := range tabs {
		require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	}
	end := ended.Next()
	require.Equal(t, bridge.SessionDestroy{ClientID: end.ClientID, SessionID: id, Reason: bridge.ReasonLogout, Via: bridge.ViaNode}, end)
	require.Empty(t, ended.Rest(), "once")
	_, known := apps[1].SessionIDOf(end.ClientID)
	require.False(t, known)
}

func TestG4_DestroyReachesTheSocketsOfOtherNodes_AnEvictedOneIsToldSo(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{MaxSessionsPerUser: 1})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, there)
	ada.OK("/login?user=ada")
	tab := ada.Dial("/ws")
	tab.Ask("get")
	webclient.NewBrowser(t, here).OK("/login?user=ada")
	require.Equal(t, bridge.CodeEvicted, tab.Closed())
}

func TestG4_DestroyReachesTheSocketsOfOtherNodes_OneThatAnotherHasSwept(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[1].Serve(t))
	ada.OK("/inc")
	tab := ada.Dial("/ws")
	tab.Ask("id")
	ended := testkit.Record[bridge.SessionDestroy](t, apps[1].Bridge)
	recs, err := h.Node(0).Sweep(t.Context(), time.Now().Add(48*time.Hour), 10) // its clock is ahead
	require.NoError(t, err)
	require.Len(t, recs, 1)
	require.Equal(t, bridge.CodeExpired, tab.Closed())
	end := ended.Next()
	require.Equal(t, bridge.ReasonExpired, end.Reason)
	require.Equal(t, bridge.ViaNode, end.Via)
	require.Empty(t, ended.Rest())
}

func TestG6_LoginOnAnotherNodeCutsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		tab := ada.Dial("/ws")
		require.Equal(t, "2", tab.Ask("inc"))
		closed := tab.WhenClosed()
		ada.At(there).OK("/login?user=ada")
		newer := ada.Dial("/ws")
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.Equal(t, "3", newer.Ask("inc"), "with the new cookie all goes on")
	})
}

func TestG6_LoginOnAnotherNodeCutsSockets_OfTheClientWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/plain") // brings the client cookie
		tab := ada.Dial("/ws")
		require.Equal(t, `""`, tab.Ask("id"))
		closed := tab.WhenClosed()
		ada.At(there).OK("/login?user=ada")
		start := time.Now()
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.LessOrEqual(t, time.Since(start), 6*time.Second)
		require.NotEqual(t, `""`, ada.Dial("/ws").Ask("id"))
	})
}

func TestRebindFollow_SocketsFollowALoginOnAnotherNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{Rebind: bridge.Follow, EagerClient: true})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/plain")
	tab := ada.Dial("/ws")
	require.Equal(t, `""`, tab.Ask("id"))
	ada.At(there).OK("/inc")
	require.Eventually(t, func() bool { return tab.Ask("id") != `""` }, await.Limit, time.Millisecond)
	require.Equal(t, "2", tab.Ask("inc"))
}

// TestClientMapFollowsOtherNodes: even if the client has no connection.
func TestClientMapFollowsOtherNodes(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/inc")
	first := ada.OK("/id")
	client, ok := apps[0].ClientIDOf(first)
	require.True(t, ok)
	ada.At(there).OK("/logout")
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, await.Limit, time.Millisecond)
	ada.At(there).OK("/inc") // this node holds nothing of the client any more
	second := ada.At(there).OK("/id")
	require.NotEqual(t, first, second)
	require.Equal(t, second, ada.OK("/id"))
	ada.At(there).OK("/login?user=ada")
	now, ok := apps[0].SessionIDOf(client)
	require.True(t, ok)
	require.Equal(t, second, now)
}

// TestClientMapFollowsOtherNodes_ANewerSession: the older one stays usable, in another browser with
// a copy of the cookies.
func TestClientMapFollowsOtherNodes_ANewerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		first := ada.OK("/id")
		client, _ := apps[0].ClientIDOf(first)
		closed := ada.Dial("/ws").WhenClosed()
		synctest.Wait()
		time.Sleep(time.Second)
		fresh := webclient.NewBrowser(t, there)
		fresh.SetCookie("sid.cid", ada.Cookie("sid.cid"))
		fresh.OK("/inc")
		require.Equal(t, bridge.CodeReconnect, <-closed, "its client has another session now")
		now, _ := apps[0].SessionIDOf(client)
		require.Equal(t, fresh.OK("/id"), now)
		require.Equal(t, first, ada.OK("/id"), "what the older cookie opens is what it was")
	})
}

// TestEventsTellOfOtherNodes: a subscriber gets the changes that other nodes store of sessions with
// connections at its own node.
func TestEventsTellOfOtherNodes(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/inc")
	id := ada.OK("/id")
	ada.Dial("/ws").Ask("id")
	sets := testkit.Record[bridge.SessionSet](t, apps[0].Bridge)
	ada.At(there).OK("/inc")
	set := sets.Next()
	require.Equal(t, bridge.SessionSet{ClientID: set.ClientID, SessionID: id, Via: bridge.ViaNode}, set)
	ada.At(there).OK("/rotate")
	require.True(t, sets.Next().Rotated)
	webclient.NewBrowser(t, there).OK("/inc")
	ada.OK("/inc")
	require.Equal(t, bridge.ViaHTTP, sets.Next().Via, "other sessions are nobody's business")
}

// TestG7_AnEarlierExpiryOnAnotherNodeClosesSocketsOnTime: its deadline here was later.
func TestG7_AnEarlierExpiryOnAnotherNodeClosesSocketsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{IdleTimeout: time.Hour, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off})
		ada := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		ada.OK("/inc")
		id := ada.OK("/id")
		tab := ada.Dial("/ws")
		closed := tab.WhenClosed()
		synctest.Wait()
		require.NoError(t, apps[1].SetByID(t.Context(), id, nil, time.Minute))
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, <-closed)
		require.InDelta(t, time.Minute.Seconds(), time.Since(start).Seconds(), 2.1)
	})
}

func TestG5_ADestroyOnAnotherNodeDuringTheHandshake(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	here := apps[0].Serve(t)
	for _, deafAt := range []string{"before it is held", "after"} {
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		id := ada.OK("/id")
		node := h.Node(0)
		node.SetNetwork(deafAt == "before it is held", false) // either notification is enough
		destroyed := make(chan struct{})
		apps[0].Mux.HandleFunc("/ws/"+id, func(w http.ResponseWriter, r *http.Request) {
			_, err := apps[0].Session(r) // it is loaded for the handshake
			require.NoError(t, err)
			was, err := apps[1].DestroyByID(r.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
			close(destroyed)
			apps[0].WebSocket(testkit.Converse, nil).ServeHTTP(w, r)
		})
		tab := ada.Dial("/ws/" + id)
		<-destroyed
		require.Equal(t, bridge.CodeDestroyed, tab.Closed(), deafAt)
	}
}

// TestG5_AHandshakeWaitsUntilOthersWouldTellOfTheEnd: it reads the session again only after the
// node has subscribed to it.
func TestG5_AHandshakeWaitsUntilOthersWouldTellOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, there)
		ada.OK("/inc")
		goOn := make(chan struct{})
		h.Node(0).BeforeHold = func() { <-goOn }
		closed := ada.At(here).Dial("/ws").WhenClosed()
		synctest.Wait() // the handshake is as far as it can be
		ada.OK("/logout")
		start := time.Now()
		close(goOn)
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		require.Less(t, time.Since(start), 2*time.Second, "not only when it would have expired")
	})
}

// TestASocketWithoutItsSessionStays: the client has a session on another node, but this browser
// doesn't present it, and would reconnect without it.
func TestASocketWithoutItsSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := testkit.NewNodes(t, 2, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, there)
		ada.OK("/inc")
		time.Sleep(time.Second)
		other := webclient.NewBrowser(t, here)
		other.SetCookie("sid.cid", ada.Cookie("sid.cid"))
		tab := other.Dial("/ws").Listen()
		require.Equal(t, `""`, tab.Ask("id"))
		time.Sleep(10 * time.Second)
		require.Equal(t, `""`, tab.Ask("id"))
	})
}

// TestASocketMeetsALoginOfAnotherNode: the client got its session there during the handshake, when
// this node didn't hold the client yet.
func TestASocketMeetsALoginOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, there)
		ada.OK("/plain")
		goOn := make(chan struct{})
		h.Node(0).BeforeHold = func() { <-goOn }
		closed := ada.At(here).Dial("/ws").WhenClosed()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		ada.OK("/login?user=ada")
		start := time.Now()
		close(goOn)
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.Less(t, time.Since(start), time.Second)
	})
}

// TestALateAnnouncementOfAnOlderSession: the client has got a newer one here meanwhile, which stays
// its session.
func TestALateAnnouncementOfAnOlderSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		older := webclient.NewBrowser(t, there)
		older.OK("/inc")
		first := older.OK("/id")
		client, _ := apps[1].ClientIDOf(first)
		time.Sleep(time.Second)
		newer := webclient.NewBrowser(t, here)
		newer.SetCookie("sid.cid", older.Cookie("sid.cid"))
		newer.OK("/inc")
		second := newer.OK("/id")
		tab := newer.Dial("/ws").Listen()
		require.Equal(t, "2", tab.Ask("inc"))
		require.NoError(t, h.Node(1).Announce(t.Context(), client, first))
		time.Sleep(10 * time.Second)
		now, _ := apps[0].SessionIDOf(client)
		require.Equal(t, second, now)
		require.Equal(t, "3", tab.Ask("inc"))
	})
}
