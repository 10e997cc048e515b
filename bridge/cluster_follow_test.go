package bridge_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func TestG4_DestroyReachesTheSocketsOfOtherNodes(t *testing.T) {
	_, apps := makeNodes(t, 3, bridge.Options{})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, here)
	ada.ok("/inc")
	id := ada.ok("/id")
	tabs := []*socket{ada.dial("/ws"), ada.at(there).dial("/ws"), ada.at(there).dial("/ws")}
	require.Equal(t, "2", tabs[1].ask("inc"))
	ended := record[bridge.SessionDestroy](t, apps[1].Bridge)
	ada.ok("/logout")
	for _, tab := range tabs {
		require.Equal(t, bridge.CodeDestroyed, tab.closed())
	}
	end := ended.next()
	require.Equal(t, bridge.SessionDestroy{ClientID: end.ClientID, SessionID: id, Reason: bridge.ReasonLogout, Via: bridge.ViaNode}, end)
	require.Empty(t, ended.rest(), "once")
	_, known := apps[1].SessionIDOf(end.ClientID)
	require.False(t, known)
}

func TestG4_DestroyReachesTheSocketsOfOtherNodes_AnEvictedOneIsToldSo(t *testing.T) {
	_, apps := makeNodes(t, 2, bridge.Options{MaxSessionsPerUser: 1})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, there)
	ada.ok("/login?user=ada")
	tab := ada.dial("/ws")
	tab.ask("get")
	newBrowser(t, here).ok("/login?user=ada")
	require.Equal(t, bridge.CodeEvicted, tab.closed())
}

func TestG4_DestroyReachesTheSocketsOfOtherNodes_OneThatAnotherHasSwept(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[1].serve(t))
	ada.ok("/inc")
	tab := ada.dial("/ws")
	tab.ask("id")
	ended := record[bridge.SessionDestroy](t, apps[1].Bridge)
	recs, err := h.node(0).Sweep(t.Context(), time.Now().Add(48*time.Hour), 10) // its clock is ahead
	require.NoError(t, err)
	require.Len(t, recs, 1)
	require.Equal(t, bridge.CodeExpired, tab.closed())
	end := ended.next()
	require.Equal(t, bridge.ReasonExpired, end.Reason)
	require.Equal(t, bridge.ViaNode, end.Via)
	require.Empty(t, ended.rest())
}

func TestG6_LoginOnAnotherNodeCutsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := makeNodes(t, 2, bridge.Options{})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		tab := ada.dial("/ws")
		require.Equal(t, "2", tab.ask("inc"))
		closed := tab.whenClosed()
		ada.at(there).ok("/login?user=ada")
		newer := ada.dial("/ws")
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.Equal(t, "3", newer.ask("inc"), "with the new cookie all goes on")
	})
}

func TestG6_LoginOnAnotherNodeCutsSockets_OfTheClientWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := makeNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/plain") // brings the client cookie
		tab := ada.dial("/ws")
		require.Equal(t, `""`, tab.ask("id"))
		closed := tab.whenClosed()
		ada.at(there).ok("/login?user=ada")
		start := time.Now()
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.LessOrEqual(t, time.Since(start), 6*time.Second)
		require.NotEqual(t, `""`, ada.dial("/ws").ask("id"))
	})
}

func TestRebindFollow_SocketsFollowALoginOnAnotherNode(t *testing.T) {
	_, apps := makeNodes(t, 2, bridge.Options{Rebind: bridge.Follow, EagerClient: true})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, here)
	ada.ok("/plain")
	tab := ada.dial("/ws")
	require.Equal(t, `""`, tab.ask("id"))
	ada.at(there).ok("/inc")
	require.Eventually(t, func() bool { return tab.ask("id") != `""` }, patience, time.Millisecond)
	require.Equal(t, "2", tab.ask("inc"))
}

// TestClientMapFollowsOtherNodes: also where the client has no connection.
func TestClientMapFollowsOtherNodes(t *testing.T) {
	_, apps := makeNodes(t, 2, bridge.Options{})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, here)
	ada.ok("/inc")
	first := ada.ok("/id")
	client, ok := apps[0].ClientIDOf(first)
	require.True(t, ok)
	ada.at(there).ok("/logout")
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, patience, time.Millisecond)
	ada.at(there).ok("/inc") // nobody here holds anything of the client's any more
	second := ada.at(there).ok("/id")
	require.NotEqual(t, first, second)
	require.Equal(t, second, ada.ok("/id"))
	ada.at(there).ok("/login?user=ada")
	now, ok := apps[0].SessionIDOf(client)
	require.True(t, ok)
	require.Equal(t, second, now)
}

// TestClientMapFollowsOtherNodes_ANewerSession: the older one goes on beside it, in another browser that has a copy of the cookies.
func TestClientMapFollowsOtherNodes_ANewerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := makeNodes(t, 2, bridge.Options{})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		first := ada.ok("/id")
		client, _ := apps[0].ClientIDOf(first)
		closed := ada.dial("/ws").whenClosed()
		synctest.Wait()
		time.Sleep(time.Second)
		fresh := newBrowser(t, there)
		fresh.setCookie("sid.cid", ada.cookie("sid.cid"))
		fresh.ok("/inc")
		require.Equal(t, bridge.CodeReconnect, <-closed, "its client has another session now")
		now, _ := apps[0].SessionIDOf(client)
		require.Equal(t, fresh.ok("/id"), now)
		require.Equal(t, first, ada.ok("/id"), "what the older cookie opens is what it was")
	})
}

// TestEventsTellOfOtherNodes: a subscriber hears what other nodes store of the sessions that have connections at its own.
func TestEventsTellOfOtherNodes(t *testing.T) {
	_, apps := makeNodes(t, 2, bridge.Options{})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, here)
	ada.ok("/inc")
	id := ada.ok("/id")
	ada.dial("/ws").ask("id")
	sets := record[bridge.SessionSet](t, apps[0].Bridge)
	ada.at(there).ok("/inc")
	set := sets.next()
	require.Equal(t, bridge.SessionSet{ClientID: set.ClientID, SessionID: id, Via: bridge.ViaNode}, set)
	ada.at(there).ok("/rotate")
	require.True(t, sets.next().Rotated)
	newBrowser(t, there).ok("/inc")
	ada.ok("/inc")
	require.Equal(t, bridge.ViaHTTP, sets.next().Via, "other sessions are nobody's business")
}

// TestG7_AnEarlierExpiryOnAnotherNodeClosesSocketsOnTime: its deadline here was later.
func TestG7_AnEarlierExpiryOnAnotherNodeClosesSocketsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := makeNodes(t, 2, bridge.Options{IdleTimeout: time.Hour, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off})
		ada := newBrowser(t, apps[0].serveInMemory(t))
		ada.ok("/inc")
		id := ada.ok("/id")
		tab := ada.dial("/ws")
		closed := tab.whenClosed()
		synctest.Wait()
		require.NoError(t, apps[1].SetByID(t.Context(), id, nil, time.Minute))
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, <-closed)
		require.InDelta(t, time.Minute.Seconds(), time.Since(start).Seconds(), 2.1)
	})
}

func TestG5_ADestroyOnAnotherNodeDuringTheHandshake(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	here := apps[0].serve(t)
	for _, deafAt := range []string{"before it is held", "after"} {
		ada := newBrowser(t, here)
		ada.ok("/inc")
		id := ada.ok("/id")
		node := h.node(0)
		node.set(deafAt == "before it is held", false) // what is told before the hold, and what is told after it, is enough each
		destroyed := make(chan struct{})
		apps[0].mux.HandleFunc("/ws/"+id, func(w http.ResponseWriter, r *http.Request) {
			_, err := apps[0].Session(r) // it is loaded for the handshake
			require.NoError(t, err)
			was, err := apps[1].DestroyByID(r.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
			close(destroyed)
			apps[0].WebSocket(converse, nil).ServeHTTP(w, r)
		})
		tab := ada.dial("/ws/" + id)
		<-destroyed
		require.Equal(t, bridge.CodeDestroyed, tab.closed(), deafAt)
	}
}

// TestG5_AHandshakeWaitsUntilOthersWouldTellOfTheEnd: as long as the node isn't told of the session, the second look is still to come.
func TestG5_AHandshakeWaitsUntilOthersWouldTellOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, there)
		ada.ok("/inc")
		goOn := make(chan struct{})
		h.node(0).beforeHold = func() { <-goOn }
		closed := ada.at(here).dial("/ws").whenClosed()
		synctest.Wait() // the handshake is as far as it can be
		ada.ok("/logout")
		start := time.Now()
		close(goOn)
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		require.Less(t, time.Since(start), 2*time.Second, "not only when it would have expired")
	})
}

// TestASocketWithoutItsSessionStays: the client has one on another node, but this browser doesn't present it. It would only come back as it is.
func TestASocketWithoutItsSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, apps := makeNodes(t, 2, bridge.Options{})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, there)
		ada.ok("/inc")
		time.Sleep(time.Second)
		other := newBrowser(t, here)
		other.setCookie("sid.cid", ada.cookie("sid.cid"))
		tab := other.dial("/ws").listen()
		require.Equal(t, `""`, tab.ask("id"))
		time.Sleep(10 * time.Second)
		require.Equal(t, `""`, tab.ask("id"))
	})
}

// TestASocketMeetsALoginOfAnotherNode: the client got its session there during the handshake, when nobody here held the client yet.
func TestASocketMeetsALoginOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, there)
		ada.ok("/plain")
		goOn := make(chan struct{})
		h.node(0).beforeHold = func() { <-goOn }
		closed := ada.at(here).dial("/ws").whenClosed()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		ada.ok("/login?user=ada")
		start := time.Now()
		close(goOn)
		require.Equal(t, bridge.CodeReconnect, <-closed)
		require.Less(t, time.Since(start), time.Second)
	})
}

// TestALateAnnouncementOfAnOlderSession: the client has got a newer one here meanwhile, which stays its session.
func TestALateAnnouncementOfAnOlderSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		older := newBrowser(t, there)
		older.ok("/inc")
		first := older.ok("/id")
		client, _ := apps[1].ClientIDOf(first)
		time.Sleep(time.Second)
		newer := newBrowser(t, here)
		newer.setCookie("sid.cid", older.cookie("sid.cid"))
		newer.ok("/inc")
		second := newer.ok("/id")
		tab := newer.dial("/ws").listen()
		require.Equal(t, "2", tab.ask("inc"))
		require.NoError(t, h.node(1).Announce(t.Context(), client, first))
		time.Sleep(10 * time.Second)
		now, _ := apps[0].SessionIDOf(client)
		require.Equal(t, second, now)
		require.Equal(t, "3", tab.ask("inc"))
	})
}
