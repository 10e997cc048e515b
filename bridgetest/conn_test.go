package bridgetest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

type answer struct {
	N    int
	Said string
}

func TestSocketSharesTheSession(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, shop(b))
		c.LogIn("ada")
		one, two := c.Dial("/ws", nil), c.Dial("/ws", nil)
		var got answer
		one.Write("a")
		one.ReadJSON(&got)
		require.Equal(t, answer{1, "a"}, got)
		two.WriteJSON("b")
		two.ReadJSON(&got)
		require.Equal(t, answer{2, `"b"`}, got)
		two.WriteMessage(websocket.MessageBinary, []byte("c"))
		kind, data := two.ReadMessage()
		require.Equal(t, websocket.MessageText, kind)
		require.JSONEq(t, `{"n":3,"said":"c"}`, string(data))
		require.Equal(t, cart{"ada", 3}, look(c))

		c.PostForm("/out", nil).Expect(http.StatusOK)
		require.NotEmpty(t, one.ExpectClose(bridge.CodeDestroyed))
		two.ExpectClose(bridge.CodeDestroyed)
		require.Empty(t, two.Unread())
	})
}

func TestHandshakeWithoutSession(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, shop(b))
		c.DialRefused("/strict", nil).Expect(http.StatusUnauthorized)
		c.Dial("/ws", nil).ExpectClose(bridge.CodeNoSession)
	})
}

func TestClientLeaves(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		closes := bridgetest.Events[bridge.ConnClose](t, b)
		c := bridgetest.NewClient(t, b, shop(b))
		c.LogIn("ada")
		conn := c.Dial("/ws", nil)
		conn.Close()
		require.Equal(t, 1001, closes.Next().Code)
	})
}

func TestMessagesThatArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		app := shop(b)
		ada, bob := bridgetest.NewClient(t, b, app), bridgetest.NewClient(t, b, app)
		ada.LogIn("ada")
		bob.LogIn("bob")
		hers, his := ada.Dial("/ws", nil), bob.Dial("/ws", nil)
		bridgetest.Advance(0)
		for _, word := range []string{"one", "two"} {
			_, err := b.Notify(t.Context(), bridge.To{UserID: "ada"}, []byte(word))
			require.NoError(t, err)
		}
		bridgetest.Advance(0)
		require.Equal(t, []string{"one", "two"}, hers.Unread())
		require.Empty(t, his.Unread())
		bridgetest.Advance(time.Hour) // pings are answered
		hers.Write("here")
		require.JSONEq(t, `{"n":1,"said":"here"}`, hers.Read())
	})
}

func TestConnReportsWhatFails(t *testing.T) {
	for wants, test := range map[string]func(c *bridgetest.ClientConn){
		"nothing has arrived within 1m0s":     func(c *bridgetest.ClientConn) { c.Read() },
		"still open":                          func(c *bridgetest.ClientConn) { c.ExpectClose(bridge.CodeExpired) },
		"not the expected JSON":               func(c *bridgetest.ClientConn) { c.Write("a"); c.ReadJSON(new(int)) },
		"closed with 1009":                    func(c *bridgetest.ClientConn) { c.Write(strings.Repeat("x", 1<<20)); c.ExpectClose(4500) },
		"read a message: ":                    func(c *bridgetest.ClientConn) { c.Close(); c.Read() },
		"write a message: ":                   func(c *bridgetest.ClientConn) { c.Close(); c.Write("a") },
		"write a message: json: unsupported ": func(c *bridgetest.ClientConn) { c.WriteJSON(make(chan bool)) },
	} {
		t.Run(wants, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failures, _ := fails(t, func(t testing.TB) {
					b := bridgetest.New(t, nil)
					c := bridgetest.NewClient(t, b, shop(b))
					c.LogIn("ada")
					test(c.Dial("/ws", nil))
				})
				require.Contains(t, failures, wants)
			})
		})
	}
}
