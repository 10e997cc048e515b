package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

type onMessage = func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error

// messages adds a socket at /messages and opens it in a browser that has a session.
func messages(t *testing.T, a *app, opts *bridge.ConnOptions, fn onMessage) (*browser, *socket) {
	t.Helper()
	a.mux.Handle("/messages", a.Messages(fn, opts))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	return br, br.dial("/messages")
}

func TestMessagesAreStoredBeforeTheirReplies(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	br, ws := messages(t, a, nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		s.Set("said", string(msg.Data))
		return errors.Join(msg.Reply([]byte("one")), msg.ReplyJSON(map[string]int{"two": 2}))
	})
	id := br.ok("/id")
	stop := newGate()
	st.next(1, "Set", stop.wait)
	ws.say("hello")
	receive(t, stop.reached)
	heard := make(chan string, 1)
	go func() { heard <- ws.hear() }()
	require.Empty(t, heard, "what it tells of is not stored yet")
	close(stop.opened)
	require.Equal(t, "one", receive(t, heard))
	require.JSONEq(t, `{"two":2}`, ws.hear())
	require.JSONEq(t, `{"n":1,"said":"hello"}`, string(stored(t, st, id).Data))
}

func TestMessagesReplyInTheTypeOfTheMessage(t *testing.T) {
	_, ws := messages(t, makeApp(t, livestore.New(), nil), nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		return errors.Join(msg.Reply(msg.Data), msg.ReplyJSON(nil))
	})
	require.NoError(t, ws.ws.Write(t.Context(), websocket.MessageBinary, []byte{0, 255}))
	kind, data, err := ws.ws.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, []byte{0, 255}, data)
	kind, data, err = ws.ws.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.Equal(t, "null", string(data))
}

// The messages of a connection are handled one at a time, in their order, and lose nothing to other connections of the session.
func TestMessagesOfOneConnectionAreHandledInOrder(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	var at atomic.Int32
	br, ws := messages(t, a, nil, func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if at.Add(1) > 2 { // connections of a session take turns, too
			return errors.New("two at once")
		}
		defer at.Add(-1)
		if _, err := increment(ctx, s); err != nil {
			return err
		}
		return msg.Reply(msg.Data)
	})
	other := br.dial("/messages")
	const n = 100
	for i := range n {
		ws.say(strconv.Itoa(i))
		other.say(strconv.Itoa(i))
	}
	for i := range n {
		require.Equal(t, strconv.Itoa(i), ws.hear())
		require.Equal(t, strconv.Itoa(i), other.hear())
	}
	require.Equal(t, strconv.Itoa(2*n+1), br.ok("/get"))
}

// A request that doesn't wait for its turn changes the session while a message is handled: that runs again, and only what the last run says is sent.
func TestMessagesDropTheRepliesOfARunThatDidNotCount(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.session("/other", func(s *bridge.Session) (any, error) { s.Set("other", true); return "set", nil })
	var br *browser
	runs := 0
	br, ws := messages(t, a, nil, func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if runs++; runs == 1 {
			br.ok("/other")
		}
		n, err := increment(ctx, s)
		return errors.Join(err, msg.ReplyJSON(runs*100+n))
	})
	require.Equal(t, "202", ws.ask("go"))
	ws.say("go")
	require.Equal(t, "303", ws.hear(), "nothing else was sent in between")
}

func TestMessagesOfAFailedFunctionStoreNothingAndSayNothing(t *testing.T) {
	st := livestore.New()
	failure := errors.New("not today")
	fn := func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		_, _ = increment(ctx, s)
		if err := msg.Reply([]byte("said")); err != nil || string(msg.Data) == "fail" {
			return errors.Join(failure, err)
		}
		return nil
	}
	told := make(chan error, 1)
	opts := &bridge.ConnOptions{OnMessageError: func(ctx context.Context, c *bridge.Conn, err error) error {
		told <- err
		return c.Write(ctx, websocket.MessageText, []byte("sorry"))
	}}
	br, ws := messages(t, makeApp(t, st, nil), opts, fn)
	require.Equal(t, "sorry", ws.ask("fail"))
	require.ErrorIs(t, receive(t, told), failure)
	require.Equal(t, "1", br.ok("/get"))
	require.Equal(t, "said", ws.ask("go"), "the connection goes on")
	require.Equal(t, "2", br.ok("/get"))

	_, ws = messages(t, makeApp(t, livestore.New(), nil), nil, fn)
	ws.say("fail")
	require.Equal(t, bridge.CodeFailed, ws.closed(), "without OnMessageError every error ends it")
}

func TestMessagesNeedASessionUnlessTheyAskForNone(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	none := func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		return msg.ReplyJSON(s == nil)
	}
	a.mux.Handle("/default", a.Messages(none, nil))
	a.mux.Handle("/accept", a.Messages(none, &bridge.ConnOptions{OnMissing: bridge.AcceptMissing}))
	br := newBrowser(t, a.serve(t))
	require.Equal(t, bridge.CodeNoSession, br.dial("/default").closed())
	require.Equal(t, "true", br.dial("/accept").ask("hello"))
	br.ok("/inc")
	require.Equal(t, "false", br.dial("/accept").ask("hello"))
	require.Equal(t, "false", br.dial("/default").ask("hello"))
}

func TestMessagesEndWithTheirSession(t *testing.T) {
	br, ws := messages(t, makeApp(t, livestore.New(), nil), nil,
		func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
			s.Logout()
			return msg.Reply([]byte("bye"))
		})
	require.Equal(t, "bye", ws.ask("logout"), "it has the answer to its own wish")
	require.Equal(t, bridge.CodeDestroyed, ws.closed())
	require.Equal(t, "0", br.ok("/get"))
}

func TestMessageRepliesAfterItsFunctionAreRefused(t *testing.T) {
	late := make(chan bridge.Message, 1)
	_, ws := messages(t, makeApp(t, livestore.New(), nil), nil,
		func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
			late <- msg
			return msg.Reply([]byte("in time"))
		})
	require.Equal(t, "in time", ws.ask("x"))
	msg := receive(t, late)
	require.Error(t, msg.Reply(nil))
	require.Error(t, bridge.Message{}.Reply(nil), "one that nobody has sent")
	require.Error(t, bridge.Message{}.ReplyJSON(make(chan int)))
}

func TestMessagesKeepTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		a.mux.Handle("/messages", a.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
			return msg.Reply(nil)
		}, nil))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/messages").listen()
		for range 5 {
			time.Sleep(idle - time.Second)
			require.Empty(t, ws.ask("still here"))
		}
		require.Equal(t, http.StatusOK, br.get("/get").status)
		require.Equal(t, "1", br.ok("/get"))
	})
}
