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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMessagesAreStoredBeforeTheirReplies(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	br, ws := testkit.OpenMessages(t, a, nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		s.Set("said", string(msg.Data))
		return errors.Join(msg.Reply([]byte("one")), msg.ReplyJSON(map[string]int{"two": 2}))
	})
	id := br.OK("/id")
	stop := teststore.NewGate()
	st.Next(1, "Set", stop.Wait)
	ws.Say("hello")
	await.Receive(t, stop.Reached)
	heard := make(chan string, 1)
	go func() { heard <- ws.Hear() }()
	require.Empty(t, heard, "what it tells of is not stored yet")
	close(stop.Opened)
	require.Equal(t, "one", await.Receive(t, heard))
	require.JSONEq(t, `{"two":2}`, ws.Hear())
	require.JSONEq(t, `{"n":1,"said":"hello"}`, string(teststore.Stored(t, st, id).Data))
}

func TestMessagesReplyInTheTypeOfTheMessage(t *testing.T) {
	_, ws := testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		return errors.Join(msg.Reply(msg.Data), msg.ReplyJSON(nil))
	})
	require.NoError(t, ws.Conn.Write(t.Context(), websocket.MessageBinary, []byte{0, 255}))
	kind, data, err := ws.Conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, []byte{0, 255}, data)
	kind, data, err = ws.Conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.Equal(t, "null", string(data))
}

// The messages of a connection are handled one at a time, in their order, and lose nothing to other
// connections of the session.
func TestMessagesOfOneConnectionAreHandledInOrder(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var at atomic.Int32
	br, ws := testkit.OpenMessages(t, a, nil, func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if at.Add(1) > 2 { // connections of a session take turns, too
			return errors.New("two at once")
		}
		defer at.Add(-1)
		if _, err := testkit.Increment(ctx, s); err != nil {
			return err
		}
		return msg.Reply(msg.Data)
	})
	other := br.Dial("/messages")
	const n = 100
	for i := range n {
		ws.Say(strconv.Itoa(i))
		other.Say(strconv.Itoa(i))
	}
	for i := range n {
		require.Equal(t, strconv.Itoa(i), ws.Hear())
		require.Equal(t, strconv.Itoa(i), other.Hear())
	}
	require.Equal(t, strconv.Itoa(2*n+1), br.OK("/get"))
}

// A request that doesn't wait for its turn changes the session while a message is handled: that
// runs again, and only what the last run says is sent.
func TestMessagesDropTheRepliesOfARunThatDidNotCount(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.SessionPage("/other", func(s *bridge.Session) (any, error) { s.Set("other", true); return "set", nil })
	var br *webclient.Browser
	runs := 0
	br, ws := testkit.OpenMessages(t, a, nil, func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if runs++; runs == 1 {
			br.OK("/other")
		}
		n, err := testkit.Increment(ctx, s)
		return errors.Join(err, msg.ReplyJSON(runs*100+n))
	})
	require.Equal(t, "202", ws.Ask("go"))
	ws.Say("go")
	require.Equal(t, "303", ws.Hear(), "nothing else was sent in between")
}

func TestMessagesOfAFailedFunctionStoreNothingAndSayNothing(t *testing.T) {
	st := livestore.New()
	failure := errors.New("not today")
	fn := func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		_, _ = testkit.Increment(ctx, s)
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
	br, ws := testkit.OpenMessages(t, testkit.NewApp(t, st, nil), opts, fn)
	require.Equal(t, "sorry", ws.Ask("fail"))
	require.ErrorIs(t, await.Receive(t, told), failure)
	require.Equal(t, "1", br.OK("/get"))
	require.Equal(t, "said", ws.Ask("go"), "the connection goes on")
	require.Equal(t, "2", br.OK("/get"))

	_, ws = testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), nil, fn)
	ws.Say("fail")
	require.Equal(t, bridge.CodeFailed, ws.Closed(), "without OnMessageError every error ends it")
}

func TestOnMessageErrorKnowsTheMessage(t *testing.T) {
	fn := func(context.Context, *bridge.Conn, bridge.Message, *bridge.Session) error { return errors.New("no") }
	opts := &bridge.ConnOptions{OnMessageError: func(ctx context.Context, c *bridge.Conn, _ error) error {
		msg, ok := bridge.MessageFrom(ctx)
		if !ok || msg.Type != websocket.MessageText {
			return errors.New("it has no message")
		}
		if msg.Reply(nil) == nil {
			return errors.New("a reply was accepted that will never be sent")
		}
		return c.Write(ctx, websocket.MessageText, append([]byte("failed: "), msg.Data...))
	}}
	_, ws := testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), opts, fn)
	require.Equal(t, "failed: one", ws.Ask("one"))
	require.Equal(t, "failed: two", ws.Ask("two"))
	_, ok := bridge.MessageFrom(t.Context())
	require.False(t, ok)
}

func TestMessagesNeedASessionUnlessTheyAskForNone(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	none := func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		return msg.ReplyJSON(s == nil)
	}
	a.Mux.Handle("/default", a.Messages(none, nil))
	a.Mux.Handle("/accept", a.Messages(none, &bridge.ConnOptions{OnMissing: bridge.AcceptMissing}))
	br := webclient.NewBrowser(t, a.Serve(t))
	require.Equal(t, bridge.CodeNoSession, br.Dial("/default").Closed())
	require.Equal(t, "true", br.Dial("/accept").Ask("hello"))
	br.OK("/inc")
	require.Equal(t, "false", br.Dial("/accept").Ask("hello"))
	require.Equal(t, "false", br.Dial("/default").Ask("hello"))
}

func TestMessagesEndWithTheirSession(t *testing.T) {
	br, ws := testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), nil,
		func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
			s.Logout()
			return msg.Reply([]byte("bye"))
		})
	require.Equal(t, "bye", ws.Ask("logout"), "it has the answer to its own wish")
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
	require.Equal(t, "0", br.OK("/get"))
}

func TestMessageRepliesAfterItsFunctionAreRefused(t *testing.T) {
	late := make(chan bridge.Message, 1)
	_, ws := testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), nil,
		func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
			late <- msg
			return msg.Reply([]byte("in time"))
		})
	require.Equal(t, "in time", ws.Ask("x"))
	msg := await.Receive(t, late)
	require.Error(t, msg.Reply(nil))
	require.Error(t, bridge.Message{}.Reply(nil), "one that nobody has sent")
	require.Error(t, bridge.Message{}.ReplyJSON(make(chan int)))
}

func TestMessagesKeepTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		a.Mux.Handle("/messages", a.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
			return msg.Reply(nil)
		}, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/messages").Listen()
		for range 5 {
			time.Sleep(testkit.Idle - time.Second)
			require.Empty(t, ws.Ask("still here"))
		}
		require.Equal(t, http.StatusOK, br.Get("/get").Status)
		require.Equal(t, "1", br.OK("/get"))
	})
}

// newRoom is an application with a listener, who is sent what a function of Messages notifies of.
func newRoom(t *testing.T, fn testkit.OnMessage, opts *bridge.ConnOptions) (
	a *testkit.App, st *teststore.Faulty, sender, listener *webclient.Socket,
) {
	t.Helper()
	st = teststore.NewFaulty()
	a = testkit.NewApp(t, st, nil)
	_, sender = testkit.OpenMessages(t, a, opts, fn)
	listener = webclient.NewBrowser(t, a.Serve(t)).Dial("/ws")
	listener.Ask("id")
	return a, st, sender, listener
}

var everyone = bridge.To{All: true}

// What a message's function notifies of is sent once, however often the function runs, after the
// changes are stored and after the replies.
func TestMessagesNotifyOnceAfterTheReplies(t *testing.T) {
	runs := 0
	var st *teststore.Faulty
	fn := func(_ context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		s.Set("said", string(msg.Data))
		if runs++; runs == 1 { // another writer: the first run conflicts with it
			rec := teststore.Stored(t, st, s.ID())
			rec.Data = []byte(`{"n":7}`)
			rec.WriteID[0]++
			if _, err := st.Set(t.Context(), rec); err != nil {
				return err
			}
		}
		to := bridge.To{Conns: []string{c.ID()}}
		err := errors.Join(
			msg.NotifyJSON(to, "own"), msg.Notify(everyone, append([]byte("run "), byte('0'+runs))), msg.Reply([]byte("reply")),
		)
		to.Conns[0] = "it is the caller's again"
		return err
	}
	a, faulty, sender, listener := newRoom(t, fn, nil)
	st = faulty
	sender.Say("hello")
	for _, want := range []string{"reply", `"own"`, "run 2"} {
		require.Equal(t, want, sender.Hear())
	}
	require.Equal(t, 2, runs)
	require.Equal(t, "run 2", listener.Hear())
	a.MustNotify(t, everyone, "and nothing before", 2)
	require.Equal(t, "and nothing before", listener.Hear())
}

// A function that fails, or whose changes can't be stored, notifies of nothing.
func TestMessagesThatFailNotifyOfNothing(t *testing.T) {
	a, st, sender, listener := newRoom(t, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		s.Set("said", string(msg.Data))
		if err := msg.Notify(everyone, msg.Data); err != nil || string(msg.Data) != "fail" {
			return err
		}
		return testkit.ErrApp
	}, &bridge.ConnOptions{OnMessageError: func(ctx context.Context, c *bridge.Conn, err error) error {
		return c.Write(ctx, websocket.MessageText, []byte("failed"))
	}})
	sender.Say("fail")
	require.Equal(t, "failed", sender.Hear())
	st.Next(1, "Set", teststore.Refuse(teststore.ErrDiskFull))
	sender.Say("not stored")
	require.Equal(t, "failed", sender.Hear())
	sender.Say("stored")
	require.Equal(t, "stored", sender.Hear())
	require.Equal(t, "stored", listener.Hear())
	a.MustNotify(t, everyone, "last", 2)
	require.Equal(t, "last", listener.Hear())
}

// The others learn of what was stored even if the client has left before its reply.
func TestMessagesNotifyThoughTheClientHasLeft(t *testing.T) {
	t.Parallel()
	_, _, sender, listener := newRoom(t, func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		s.Set("said", string(msg.Data))
		if err := c.Close(4000, "left"); err != nil {
			return err
		}
		return errors.Join(msg.Reply(nil), msg.Notify(everyone, msg.Data))
	}, nil)
	sender.Say("bye")
	require.Equal(t, "bye", listener.Hear())
}

func TestMessageNotifyChecksWhatItIsGiven(t *testing.T) {
	var kept bridge.Message
	failures := make(chan error, 10)
	_, _, sender, _ := newRoom(t, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		kept = msg
		failures <- msg.Notify(bridge.To{}, nil)
		failures <- msg.Notify(everyone, []byte("\xff"))
		failures <- msg.NotifyJSON(everyone, func() {})
		return msg.Reply(nil)
	}, nil)
	sender.Ask("x")
	for _, want := range []string{"To has no receiver", "bridge: Message.Notify: the payload is not UTF-8", "bridge: Message.NotifyJSON: json"} {
		require.ErrorContains(t, <-failures, want)
	}
	for _, msg := range []struct {
		bridge.Message
		want string
	}{{kept, "after the function for the message has returned"}, {bridge.Message{}, "bridgetest.Handle"}} {
		require.ErrorContains(t, msg.Notify(everyone, nil), msg.want)
		require.ErrorContains(t, msg.NotifyJSON(everyone, 1), msg.want)
		require.ErrorContains(t, msg.Reply(nil), msg.want)
		require.ErrorContains(t, msg.ReplyJSON(1), msg.want)
	}
}
