package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// threeTabs are sockets of one browser at three nodes, whose session has the user ada.
func threeTabs(t *testing.T, apps []*app) (ada *browser, tabs []*socket) {
	t.Helper()
	ada = newBrowser(t, apps[0].serve(t))
	ada.ok("/login?user=ada")
	tabs = append(tabs, ada.dial("/ws"), ada.at(apps[1].serve(t)).dial("/ws"), ada.at(apps[2].serve(t)).dial("/ws"))
	for _, tab := range tabs {
		tab.ask("get")
	}
	return ada, tabs
}

func TestNotifyReachesEveryNode(t *testing.T) {
	_, apps := makeNodes(t, 3, bridge.Options{})
	ada, tabs := threeTabs(t, apps)
	session := ada.ok("/id")
	client, _ := apps[0].ClientIDOf(session)
	for _, to := range []bridge.To{{SessionID: session}, {ClientID: client}, {UserID: "ada"}, {All: true}} {
		n, err := apps[1].Notify(t.Context(), to, []byte("hello"))
		require.NoError(t, err, "%+v", to)
		require.Equal(t, 3, n, "%+v", to)
		for _, tab := range tabs {
			require.Equal(t, "hello", tab.hear())
		}
	}
	n, err := apps[1].Notify(t.Context(), bridge.To{UserID: "nobody"}, []byte("hello"))
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestNotifyReachesEveryNode_InOrder(t *testing.T) {
	const messages = 100
	_, apps := makeNodes(t, 3, bridge.Options{})
	ada, tabs := threeTabs(t, apps)
	session := ada.ok("/id")
	for i := range messages {
		_, err := apps[0].Notify(t.Context(), bridge.To{SessionID: session}, []byte{'a' + byte(i%26)})
		require.NoError(t, err)
	}
	for i := range messages {
		for _, tab := range tabs {
			require.Equal(t, string([]byte{'a' + byte(i%26)}), tab.hear())
		}
	}
}

// TestNotifySaysWhichPartOfItIsKnown: a node that is silent makes it an error, beside what the others did.
func TestNotifySaysWhichPartOfItIsKnown(t *testing.T) {
	t.Parallel()
	h, apps := makeNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	h.node(2).set(true, false)
	n, err := apps[0].Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
	require.ErrorIs(t, err, bridge.ErrNodeSilent)
	require.ErrorContains(t, err, "1 of 2")
	require.Equal(t, http.StatusServiceUnavailable, bridge.HTTPStatus(err))
	require.Equal(t, bridge.CodeUnavailable, bridge.CloseCode(err))
	require.Equal(t, 2, n)
	require.Equal(t, "hello", tabs[1].hear())

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(http.ErrAbortHandler)
	_, err = apps[0].Notify(ctx, bridge.To{All: true}, []byte("hello"))
	require.ErrorIs(t, err, http.ErrAbortHandler)
}

func TestConnsOfEveryNode(t *testing.T) {
	_, apps := makeNodes(t, 3, bridge.Options{})
	ada, _ := threeTabs(t, apps)
	session := ada.ok("/id")
	for _, f := range []bridge.ConnFilter{{}, {UserID: "ada"}, {SessionID: session}} {
		nodes := map[string]int{}
		for info, err := range apps[0].Conns(t.Context(), f) {
			require.NoError(t, err)
			require.Equal(t, session, info.SessionID)
			require.Equal(t, "ada", info.UserID)
			nodes[info.Node]++
		}
		require.Equal(t, map[string]int{"": 1, "node1": 1, "node2": 1}, nodes)
	}
	for _, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{UserID: "grace"}) {
		require.NoError(t, err)
		t.Fatal("nobody is connected")
	}
	a, err := apps[1].Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 1, Sessions: 1, Conns: 3}, a)
}

// TestConnsOfEveryNode_Many: more than one piece of them, and the loop may be left at any time.
func TestConnsOfEveryNode_Many(t *testing.T) {
	t.Parallel()
	_, apps := makeNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[1].serve(t))
	ada.ok("/inc")
	const many = 300
	for range many {
		ada.dial("/ws")
	}
	require.Eventually(t, func() bool { return apps[1].Stats().Conns == many }, patience, time.Millisecond)
	seen := map[string]bool{}
	for info, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		seen[info.ID] = true
	}
	require.Len(t, seen, many)
	n := 0
	for _, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		if n++; n == 10 {
			break
		}
	}
	require.Equal(t, 10, n)
}

func TestCloseConnOnAnotherNode(t *testing.T) {
	_, apps := makeNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	for info, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		if info.Node == "node1" {
			was, err := apps[2].CloseConn(t.Context(), info.ID, 4321, "enough")
			require.NoError(t, err)
			require.True(t, was)
			require.Equal(t, 4321, tabs[1].closed())
		}
	}
	was, err := apps[2].CloseConn(t.Context(), "nobody's", 4321, "enough")
	require.NoError(t, err)
	require.False(t, was)
	n, err := apps[1].CloseConns(t.Context(), bridge.ConnFilter{UserID: "ada"}, 4322, "all of you")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 4322, tabs[0].closed())
	require.Equal(t, 4322, tabs[2].closed())
}

// TestCloseConnOnAnotherNode_WaitsForNobodyElse: the one that has it has answered.
func TestCloseConnOnAnotherNode_WaitsForNobodyElse(t *testing.T) {
	h, apps := makeNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	var id string
	for info, err := range apps[1].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		if info.Node == "" {
			id = info.ID
		}
	}
	h.node(2).set(true, false)
	was, err := apps[0].CloseConn(t.Context(), id, 4321, "enough")
	require.NoError(t, err)
	require.True(t, was)
	require.Equal(t, 4321, tabs[1].closed())
}

// TestALoginWaitsForTheEndOfTheUsersSessions: and is there afterwards. The session that the user logs in to may be one of those that end.
func TestALoginWaitsForTheEndOfTheUsersSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{})
		unlock, err := h.node(1).LockUser(t.Context(), "ada")
		require.NoError(t, err)
		p := pocket{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			require.Equal(t, http.StatusOK, p.get(t, apps[0].Handler(apps[0].mux), "/login?user=ada").Code)
		}()
		time.Sleep(time.Second)
		select {
		case <-done:
			t.Error("it has been stored while the user was locked")
		default:
		}
		require.NoError(t, unlock(t.Context()))
		<-done
		n, err := apps[1].DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestDestroyUserSaysThatALoginMayHaveSlippedIn: when its lock was lost.
func TestDestroyUserSaysThatALoginMayHaveSlippedIn(t *testing.T) {
	h, apps := makeNodes(t, 1, bridge.Options{})
	p := pocket{}
	p.get(t, apps[0].Handler(apps[0].mux), "/login?user=ada")
	h.unlock = errors.New("it was lost")
	n, err := apps[0].DestroyUser(t.Context(), "ada")
	require.Equal(t, 1, n)
	require.ErrorIs(t, err, h.unlock)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
}
