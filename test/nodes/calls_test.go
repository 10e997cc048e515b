package nodes_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
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

// TestNotifyReachesEveryNode_AllButOne: regardless of the node that has the connection.
func TestNotifyReachesEveryNode_AllButOne(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	ada, tabs := threeTabs(t, apps)
	session := ada.OK("/id")
	var ids []string
	for i, app := range apps {
		for _, c := range testkit.Conns(t, app.Bridge, bridge.ConnFilter{}) {
			if c.Node == "" {
				require.Len(t, ids, i)
				ids = append(ids, c.ID)
			}
		}
	}
	for except, id := range ids {
		apps[1].MustNotify(t, bridge.To{SessionID: session, Except: id}, "to two", 2)
		apps[1].MustNotify(t, bridge.To{Conns: []string{id, "no connection"}}, "to one", 1)
		for i, tab := range tabs {
			if i != except {
				require.Equal(t, "to two", tab.Hear())
			} else {
				require.Equal(t, "to one", tab.Hear())
			}
		}
	}
	apps[0].MustNotify(t, bridge.To{Conns: ids}, "to all", 3)
	for _, tab := range tabs {
		require.Equal(t, "to all", tab.Hear())
	}
}

// TestNotifyReachesEveryNode_OfAName: a room has connections on several nodes.
func TestNotifyReachesEveryNode_OfAName(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	heard := make(chan string, 3)
	for i, name := range []string{"hall", "attic", "hall"} {
		id := strconv.Itoa(i)
		_, err := apps[i].AttachRemote(t.Context(), bridge.Remote{
			ID: id, Name: name, Lease: time.Hour,
			Notify: func(_ websocket.MessageType, data []byte) error { heard <- id + " " + string(data); return nil },
		})
		require.NoError(t, err)
	}
	apps[1].MustNotify(t, bridge.To{Name: "hall"}, "both", 2)
	require.ElementsMatch(t, []string{"0 both", "2 both"}, []string{<-heard, <-heard})
	apps[1].MustNotify(t, bridge.To{Name: "hall", Except: "0"}, "one", 1)
	require.Equal(t, "2 one", <-heard)
	apps[0].MustNotify(t, bridge.To{Name: "attic"}, "one", 1)
	require.Equal(t, "1 one", <-heard)
}

// TestNotifyAsksAsEarlierVersions: a node of an earlier version, which knows neither Except nor
// Conns, finds the other fields where they were. One that has Except on another node reaches it.
func TestNotifyAsksAsEarlierVersions(t *testing.T) {
	h, apps := testkit.NewNodes(t, 1, bridge.Options{})
	questions := make(chan []byte, 1)
	earlier := h.Watch(func(ch store.Change) {
		if ch.Kind == store.ChangeMessage {
			questions <- bytes.Clone(ch.Data)
		}
	})
	t.Cleanup(func() { require.NoError(t, earlier.Leave(context.WithoutCancel(t.Context()))) })
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := apps[0].Notify(ctx, bridge.To{All: true, Except: "elsewhere"}, []byte("hello"))
		asked <- err
	}()
	raw := <-questions
	cancel()
	require.ErrorIs(t, <-asked, context.Canceled)
	length, n := binary.Uvarint(raw)
	var question struct {
		Body struct {
			To struct {
				SessionID, ClientID, UserID string
				All                         bool
			} `json:"to"`
		} `json:"body"`
	}
	require.NoError(t, json.Unmarshal(raw[n:][:length], &question))
	require.True(t, question.Body.To.All)
	require.Equal(t, "hello", string(raw[n:][length:]))
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

// TestNotifySaysWhichPartOfItIsKnown: if a node is silent, Notify returns an error beside the count
// of the others.
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
		t.Fatal("there is no connection")
	}
	a, err := apps[1].Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 1, Sessions: 1, Conns: 3}, a)
}

// TestConnsOfEveryNode_Many: the answer has several pieces, and the loop may end at any time.
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

func TestConnOfAnyNode(t *testing.T) {
	t.Parallel()
	h, apps := testkit.NewNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	for info, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		one, err := apps[0].Conn(t.Context(), info.ID)
		require.NoError(t, err)
		require.Equal(t, info, one)
	}
	_, err := apps[0].Conn(t.Context(), "unknown")
	require.ErrorIs(t, err, bridge.ErrConnMissing)
	own := testkit.Conns(t, apps[1].Bridge, bridge.ConnFilter{})[0] // those of its own process come first
	n, err := apps[0].CloseConns(t.Context(), bridge.ConnFilter{ID: own.ID}, 4321, "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 4321, tabs[1].Closed())
	tabs[0].Ask("get")
	h.Node(2).SetNetwork(true, false)
	_, err = apps[0].Conn(t.Context(), "unknown")
	require.ErrorIs(t, err, bridge.ErrNodeSilent, "it may be there")
}

// The loop may end at any time, and the error of a silent node comes last.
func TestNodesAreListed(t *testing.T) {
	t.Parallel()
	h, apps := testkit.NewNodes(t, 3, bridge.Options{})
	_, tabs := threeTabs(t, apps)
	tabs[1].Ask("inc")
	list := func() (names []string, failed error) {
		for info, err := range apps[1].Nodes(t.Context()) {
			if failed = err; err != nil {
				continue
			}
			names = append(names, info.Node)
			require.True(t, info.Stats.Healthy)
			require.Equal(t, 1, info.Stats.Conns)
			require.WithinDuration(t, time.Now(), info.StartedAt, time.Hour)
			require.Equal(t, info.Node != "node2", info.Stats.Writes > 0, "its own")
		}
		return names, failed
	}
	names, err := list()
	require.NoError(t, err)
	require.Equal(t, "", names[0], "this process")
	require.ElementsMatch(t, []string{"node0", "node2"}, names[1:])
	for info, err := range apps[1].Nodes(t.Context()) {
		require.NoError(t, err)
		require.Empty(t, info.Node)
		break
	}
	h.Node(2).SetNetwork(true, false)
	names, err = list()
	require.ErrorIs(t, err, bridge.ErrNodeSilent)
	require.Equal(t, []string{"", "node0"}, names)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(http.ErrAbortHandler)
	for _, err := range apps[1].Nodes(ctx) {
		require.ErrorIs(t, err, http.ErrAbortHandler)
	}
}

// A name is unique on its node only.
func TestConnNamesOnEveryNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{})
	tabs := make([]*webclient.Socket, len(apps))
	for i, a := range apps {
		a.Mux.Handle("/named", a.WebSocket(testkit.Converse, &bridge.ConnOptions{
			Name: func(*http.Request) string { return "the one" }, OnNameInUse: bridge.RefuseName,
		}))
		tabs[i] = webclient.NewBrowser(t, a.Serve(t)).Dial("/named")
		tabs[i].Ask("id")
	}
	other := webclient.NewBrowser(t, apps[0].Serve(t)).Dial("/ws")
	other.Ask("id")
	f := bridge.ConnFilter{Name: "the one"}
	require.Len(t, testkit.Conns(t, apps[1].Bridge, f), 3)
	n, err := apps[1].CloseConns(t.Context(), f, 4321, "")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, tab := range tabs {
		require.Equal(t, 4321, tab.Closed())
	}
	other.Ask("id")
}

// What one node has created opens its session on another, and a login there counts here.
func TestCredentialsOnEveryNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{Keys: [][]byte{testkit.Key()}})
	guest, err := apps[0].Create(t.Context(), bridge.NewSession{})
	require.NoError(t, err)
	ada, err := apps[1].LoginCredentials(t.Context(), guest, "ada")
	require.NoError(t, err)
	require.ErrorIs(t, apps[0].WithCredentials(t.Context(), guest, testkit.Set("k", 1)), bridge.ErrTokenRotated)
	require.NoError(t, apps[0].WithCredentials(t.Context(), ada, testkit.Set("k", 1)))
	n, err := apps[1].DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = apps[0].Open(t.Context(), ada)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
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

// TestCloseConnOnAnotherNode_WaitsForNobodyElse: it returns when the node with the connection has
// answered.
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

// TestALoginWaitsForTheEndOfTheUsersSessions: and is stored afterwards. The session that the user
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

// TestRemoteOnAnotherNode is listed, notified, and closed with its session by any node.
func TestRemoteOnAnotherNode(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	_, id := testkit.SignIn(t, apps[0].Handler(apps[0].Mux), "ada")
	messages, closed := make(chan string, 1), make(chan int, 1)
	lamp, err := apps[1].AttachRemote(t.Context(), bridge.Remote{
		ID: "lamp-1", SessionID: id, Lease: time.Hour,
		Notify: func(_ websocket.MessageType, data []byte) error { messages <- string(data); return nil },
		Close:  func(code int, _ string) { closed <- code },
	})
	require.NoError(t, err)
	all := testkit.Conns(t, apps[0].Bridge, bridge.ConnFilter{UserID: "ada"})
	require.Len(t, all, 1)
	require.True(t, all[0].Remote)
	require.Equal(t, "lamp-1", all[0].ID)
	require.Equal(t, "node1", all[0].Node)
	for _, to := range []bridge.To{{SessionID: id}, {UserID: "ada"}, {Conns: []string{"lamp-1"}}} {
		apps[0].MustNotify(t, to, "on", 1)
		require.Equal(t, "on", await.Receive(t, messages))
	}
	_, err = apps[0].DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, bridge.CodeDestroyed, await.Receive(t, closed))
	require.Empty(t, lamp.SessionID())
}

// TestActivityOfTheLastSecond_OfEveryNode: a session that another node has in use counts at once.
func TestActivityOfTheLastSecond_OfEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		there := apps[1].Handler(apps[1].Mux)
		ada, id := testkit.SignIn(t, there, "ada")
		time.Sleep(30 * time.Second)
		ada.Get(t, there, "/get")
		time.Sleep(500 * time.Millisecond)
		a, err := apps[0].Activity(t.Context(), time.Second)
		require.NoError(t, err)
		require.Equal(t, bridge.Activity{Users: 1, Sessions: 1}, a)
		infos := testkit.Listed(t, apps[0].Bridge, bridge.Filter{ActiveWithin: time.Second})
		require.Len(t, infos, 1)
		require.Equal(t, id, infos[0].ID)
		require.Equal(t, time.Now().UTC().Add(-500*time.Millisecond), infos[0].Seen)

		h.Node(1).SetNetwork(true, false)
		var last error
		for _, last = range apps[0].Sessions(t.Context(), bridge.Filter{ActiveWithin: time.Minute}) {
		}
		require.ErrorIs(t, last, bridge.ErrNodeSilent)
		testkit.Listed(t, apps[0].Bridge, bridge.Filter{ActiveWithin: time.Hour}) // asks the store alone
	})
}
