package nodes_test

import (
	"context"
	"errors"
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

// threeTabs are sockets of one browser at three nodes, whose session has the user ada.
func threeTabs(t *testing.T, apps []*testkit.App) (ada *webclient.Browser, tabs []*webclient.Socket) {
	t.Helper()
	ada = webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/login?user=ada")
	tabs = append(tabs, ada.Dial("/ws"), ada.At(apps[1].Serve(t)).Dial("/ws"), ada.At(apps[2].Serve(t)).Dial("/ws"))
	for _, tab := range tabs {
		tab.Ask("get")
	}
	return ada, tabs
}

func TestNotifyReachesEveryNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	ada, tabs := threeTabs(t, apps)
	session := ada.OK("/id")
	client, _ := apps[0].ClientIDOf(session)
	for _, to := range []bridge.To{{SessionID: session}, {ClientID: client}, {UserID: "ada"}, {All: true}} {
		n, err := apps[1].Notify(t.Context(), to, []byte("hello"))
		require.NoError(t, err, "%+v", to)
		require.Equal(t, 3, n, "%+v", to)
		for _, tab := range tabs {
			require.Equal(t, "hello", tab.Hear())
		}
	}
	n, err := apps[1].Notify(t.Context(), bridge.To{UserID: "nobody"}, []byte("hello"))
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestNotifyReachesEveryNode_InOrder(t *testing.T) {
	const messages = 100
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	ada, tabs := threeTabs(t, apps)
	session := ada.OK("/id")
	for i := range messages {
		_, err := apps[0].Notify(t.Context(), bridge.To{SessionID: session}, []byte{'a' + byte(i%26)})
		require.NoError(t, err)
	}
	for i := range messages {
		for _, tab := range tabs {
			require.Equal(t, string([]byte{'a' + byte(i%26)}), tab.Hear())
		}
	}
}

// TestNotifySaysWhichPartOfItIsKnown: a node that is silent makes it an error, beside what the
// others did.
func TestNotifySaysWhichPartOfItIsKnown(t *testing.T) {
	t.Parallel()
	h, apps := testkit.NewNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	h.Node(2).SetNetwork(true, false)
	n, err := apps[0].Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
	require.ErrorIs(t, err, bridge.ErrNodeSilent)
	require.ErrorContains(t, err, "1 of 2")
	require.Equal(t, http.StatusServiceUnavailable, bridge.HTTPStatus(err))
	require.Equal(t, bridge.CodeUnavailable, bridge.CloseCode(err))
	require.Equal(t, 2, n)
	require.Equal(t, "hello", tabs[1].Hear())

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(http.ErrAbortHandler)
	_, err = apps[0].Notify(ctx, bridge.To{All: true}, []byte("hello"))
	require.ErrorIs(t, err, http.ErrAbortHandler)
}

func TestConnsOfEveryNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	ada, _ := threeTabs(t, apps)
	session := ada.OK("/id")
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
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[1].Serve(t))
	ada.OK("/inc")
	const many = 300
	for range many {
		ada.Dial("/ws")
	}
	require.Eventually(t, func() bool { return apps[1].Stats().Conns == many }, await.Limit, time.Millisecond)
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
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	for info, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		if info.Node == "node1" {
			was, err := apps[2].CloseConn(t.Context(), info.ID, 4321, "enough")
			require.NoError(t, err)
			require.True(t, was)
			require.Equal(t, 4321, tabs[1].Closed())
		}
	}
	was, err := apps[2].CloseConn(t.Context(), "nobody's", 4321, "enough")
	require.NoError(t, err)
	require.False(t, was)
	n, err := apps[1].CloseConns(t.Context(), bridge.ConnFilter{UserID: "ada"}, 4322, "all of you")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 4322, tabs[0].Closed())
	require.Equal(t, 4322, tabs[2].Closed())
}

// TestCloseConnOnAnotherNode_WaitsForNobodyElse: the one that has it has answered.
func TestCloseConnOnAnotherNode_WaitsForNobodyElse(t *testing.T) {
	h, apps := testkit.NewNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	var id string
	for info, err := range apps[1].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		if info.Node == "" {
			id = info.ID
		}
	}
	h.Node(2).SetNetwork(true, false)
	was, err := apps[0].CloseConn(t.Context(), id, 4321, "enough")
	require.NoError(t, err)
	require.True(t, was)
	require.Equal(t, 4321, tabs[1].Closed())
}

// TestALoginWaitsForTheEndOfTheUsersSessions: and is there afterwards. The session that the user
// logs in to may be one of those that end.
func TestALoginWaitsForTheEndOfTheUsersSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		unlock, err := h.Node(1).LockUser(t.Context(), "ada")
		require.NoError(t, err)
		p := webclient.Pocket{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			require.Equal(t, http.StatusOK, p.Get(t, apps[0].Handler(apps[0].Mux), "/login?user=ada").Code)
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
	h, apps := testkit.NewNodes(t, 1, bridge.Options{})
	p := webclient.Pocket{}
	p.Get(t, apps[0].Handler(apps[0].Mux), "/login?user=ada")
	h.UnlockErr = errors.New("it was lost")
	n, err := apps[0].DestroyUser(t.Context(), "ada")
	require.Equal(t, 1, n)
	require.ErrorIs(t, err, h.UnlockErr)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
}
