package admin_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// chat is an application with sockets of two users and of a guest.
type chat struct {
	*client
	app            *testkit.App
	ada, ada2, bob *webclient.Socket
	ids            map[string]string // sessions by user
}

func newChat(t *testing.T) *chat {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), nil)
	site := a.Serve(t)
	x := &chat{client: newClient(t, a.Bridge, &admin.Options{}), app: a, ids: map[string]string{}}
	open := func(user string) *webclient.Browser {
		br := webclient.NewBrowser(t, site)
		br.OK("/login?user=" + user)
		x.ids[user] = br.OK("/id")
		return br
	}
	ada, bob := open("ada"), open("bob")
	x.ada, x.ada2, x.bob = ada.Dial("/ws"), ada.Dial("/ws"), bob.Dial("/ws")
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 3)
	return x
}

func TestConnectionsAreListedAndClosed(t *testing.T) {
	x := newChat(t)
	require.Len(t, x.ok(http.StatusOK, get, "conns", nil).get("conns"), 3)
	a := x.ok(http.StatusOK, get, "conns?limit=2", nil)
	require.Len(t, a.get("conns"), 2)
	require.Equal(t, false, a.get("complete"))
	a = x.ok(http.StatusOK, post, "conns/search", object{"user": "bob"})
	require.Equal(t, true, a.get("complete"))
	list, _ := a.get("conns").([]any)
	require.Len(t, list, 1)
	id, _ := list[0].(object)["id"].(string)
	one := x.ok(http.StatusOK, get, "conns/"+id, nil)
	require.Equal(t, x.ids["bob"], one.get("session"))
	require.Equal(t, "127.0.0.1", one.get("addr"))
	for field, value := range map[string]any{"session": x.ids["ada"], "user": "ada", "client": x.ok(http.StatusOK, get, "sessions/"+x.ids["ada"], nil).text("client")} {
		require.Len(t, x.ok(http.StatusOK, post, "conns/search", object{field: value}).get("conns"), 2, field)
	}
	require.Empty(t, x.ok(http.StatusOK, post, "conns/search", object{"openFor": 3600}).get("conns"))
	require.Equal(t, "2", x.ok(http.StatusOK, get, "sessions/"+x.ids["ada"], nil).get("connsHere"))

	x.ok(http.StatusNoContent, post, "conns/"+id+"/close", object{"code": 4444, "reason": "enough"})
	_, err := x.bob.TryHear()
	require.Equal(t, websocket.StatusCode(4444), websocket.CloseStatus(err))
	testkit.OpenConns(t, x.app.Bridge, bridge.ConnFilter{}, 2)
	x.ok(http.StatusNotFound, post, "conns/"+id+"/close", nil)
	for _, missing := range []string{id, unknown, "a b", strings.Repeat("a", 101), "%2e%2e"} {
		missing = strings.ReplaceAll(missing, " ", "%20")
		x.ok(http.StatusNotFound, get, "conns/"+missing, nil)
		x.ok(http.StatusNotFound, post, "conns/"+missing+"/close", nil)
	}
}

// The sweep by age: connections that are older than a time, or quiet for one.
func TestConnectionsOfAnAgeAreClosed(t *testing.T) {
	x := newChat(t)
	require.Equal(t, "0", x.ok(http.StatusOK, post, "conns/close", object{"openFor": 3600}).get("closed"))
	closed := 0
	require.Eventually(t, func() bool { // as each gets older than 10 ms
		a := x.ok(http.StatusOK, post, "conns/close", object{"openFor": 0.01, "user": "ada", "reason": "old"})
		n, err := strconv.Atoi(fmt.Sprint(a.get("closed")))
		closed += n
		return err == nil && closed == 2
	}, time.Minute, 20*time.Millisecond)
	testkit.OpenConns(t, x.app.Bridge, bridge.ConnFilter{}, 1)
	require.Equal(t, "1", x.ok(http.StatusOK, post, "conns/close", object{"session": x.ids["bob"]}).get("closed"))
	x.refused("session", post, "conns/close", object{})
	x.refused("session", post, "conns/close", object{"code": 1000})
	x.refused("quietFor", post, "conns/close", object{"quietFor": -1})
}

func TestMessagesReachConnections(t *testing.T) {
	x := newChat(t)
	expect := func(want string, sockets ...*webclient.Socket) {
		t.Helper()
		for _, s := range sockets {
			got, err := s.TryHear()
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	a := x.ok(http.StatusOK, post, "notify", object{"to": object{"user": "ada"}, "text": "hi"})
	require.Equal(t, "2", a.get("accepted"))
	require.Equal(t, true, a.get("complete"))
	expect("hi", x.ada, x.ada2)
	x.ok(http.StatusOK, post, "notify", object{"to": object{"all": true}, "json": object{"n": []int{1}}})
	expect(`{"n":[1]}`, x.ada, x.ada2, x.bob)
	x.ok(http.StatusOK, post, "notify", `{"to":{"session":"`+x.ids["bob"]+`"},"json":null}`)
	expect("null", x.bob)
	x.ok(http.StatusOK, post, "notify", object{"to": object{"user": "bob"}, "binary": base64.StdEncoding.EncodeToString([]byte{0xff, 0})})
	expect("\xff\x00", x.bob)
	conns := testkit.Conns(t, x.app.Bridge, bridge.ConnFilter{UserID: "bob"})
	x.ok(http.StatusOK, post, "notify", object{"to": object{"conns": []string{conns[0].ID}}, "text": ""})
	expect("", x.bob)
	a = x.ok(http.StatusOK, post, "notify", object{"to": object{"all": true, "except": conns[0].ID}, "text": "x"})
	require.Equal(t, "2", a.get("accepted"))
	require.Equal(t, "0", x.ok(http.StatusOK, post, "notify", object{"to": object{"user": "nobody"}, "text": "x"}).get("accepted"))
}

func TestInputOfMessages(t *testing.T) {
	_, c := newMain(t, nil)
	all := object{"all": true}
	for _, test := range []struct {
		field string
		body  any
	}{
		{"to", object{"text": "x"}},
		{"to", object{"to": object{}, "text": "x"}},
		{"to", object{"to": []string{}, "text": "x"}},
		{"to", object{"to": object{"all": true, "user": "ada"}, "text": "x"}},
		{"to.all", object{"to": object{"all": false}, "text": "x"}},
		{"to.all", object{"to": object{"all": "true"}, "text": "x"}},
		{"to.user", object{"to": object{"user": ""}, "text": "x"}},
		{"to.session", object{"to": object{"session": "x"}, "text": "x"}},
		{"to.client", object{"to": object{"client": "x"}, "text": "x"}},
		{"to.name", object{"to": object{"name": strings.Repeat("x", 101)}, "text": "x"}},
		{"to.conns", object{"to": object{"conns": []string{}}, "text": "x"}},
		{"to.conns", object{"to": object{"conns": make([]string, 10_001)}, "text": "x"}},
		{"to.conns.1", object{"to": object{"conns": []string{"a", "b c"}}, "text": "x"}},
		{"to.except", object{"to": object{"conns": []string{"a"}, "except": "b"}, "text": "x"}},
		{"to.except", object{"to": object{"all": true, "except": "b c"}, "text": "x"}},
		{"to.room", object{"to": object{"all": true, "room": "x"}, "text": "x"}},
		{"text", object{"to": all}},
		{"text", object{"to": all, "text": "x", "json": 1}},
		{"text", object{"to": all, "text": 1}},
		{"binary", object{"to": all, "binary": "!"}},
		{"binary", object{"to": all, "binary": 1}},
	} {
		c.refused(test.field, post, "notify", test.body)
	}
	for field, bad := range map[string][]any{
		"code":   {999, 1001, 1005, 1006, 1015, 2999, 5000, "1000", 1000.5, nil},
		"reason": {strings.Repeat("x", 124), 1, nil},
		"why":    {"x"},
	} {
		for _, v := range bad {
			c.refused(field, post, "conns/"+unknown+"/close", object{field: v})
			c.refused(field, post, "conns/close", object{"user": "ada", field: v})
		}
	}
}

func TestPresence(t *testing.T) {
	x := newChat(t)
	want := []any{object{"user": "ada", "conns": 2.0}, object{"user": "bob", "conns": 1.0}}
	presence := func(a answer) []any { return decoded(t, a)["users"].([]any) }
	require.Equal(t, want, presence(x.ok(http.StatusOK, get, "presence", nil)))
	require.Equal(t, want[:1], presence(x.ok(http.StatusOK, post, "presence/search", object{"users": []string{"ada"}})))
	require.Equal(t, []any{want[1], object{"user": "eve", "conns": 0.0}},
		presence(x.ok(http.StatusOK, post, "presence/search", object{"users": []string{"bob", "eve"}})))
	x.refused("users", post, "presence/search", object{})
	x.refused("users", post, "presence/search", object{"users": []string{}})
	x.refused("users", post, "presence/search", object{"users": make([]string, 1001)})
	x.refused("users.1", post, "presence/search", object{"users": []string{"a", ""}})
}

// Lists and messages cover every node; without a node's answer they say so.
func TestOtherNodesTakePart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, nodes := testkit.NewNodes(t, 2, bridge.Options{})
		there := webclient.NewBrowser(t, nodes[1].ServeInMemory(t))
		there.OK("/login?user=ada")
		ws := there.Dial("/ws").Listen()
		synctest.Wait()
		c := newClient(t, nodes[0].Bridge, nil)
		require.Len(t, c.ok(http.StatusOK, get, "conns", nil).get("conns"), 1)
		require.Equal(t, "1", c.ok(http.StatusOK, get, "activity?within=60", nil).get("conns"))
		require.Equal(t, "1", c.ok(http.StatusOK, post, "notify", object{"to": object{"user": "ada"}, "text": "hi"}).get("accepted"))
		require.Equal(t, "hi", <-ws.Inbox)

		hub.Node(1).SetNetwork(true, false) // it hears nothing any more
		for _, a := range []answer{
			c.ok(http.StatusOK, get, "conns", nil),
			c.ok(http.StatusOK, get, "presence", nil),
			c.ok(http.StatusOK, get, "activity?within=60", nil),
			c.ok(http.StatusOK, get, "sessions?activeWithin=1", nil),
			c.ok(http.StatusOK, post, "notify", object{"to": object{"all": true}, "text": "hi"}),
			c.ok(http.StatusOK, post, "conns/close", object{"user": "ada"}),
		} {
			require.Equal(t, false, a.get("complete"), a.Body)
		}
		hub.Node(1).SetNetwork(false, false)
	})
}
