package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestNotifyKeptRefusesWhatItCannotKeep(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	ctx, to := t.Context(), bridge.To{SessionID: id}
	for what, to := range map[string]bridge.To{
		"has no receiver":         {},
		"SessionID and UserID":    {SessionID: id, UserID: "ann"},
		"set SessionID or UserID": {All: true},
		"SessionID or UserID":     {ClientID: id},
		"or UserID":               {Name: "room"},
		"UserID:":                 {Conns: []string{"1"}},
		"no Except":               {SessionID: id, Except: "1"},
	} {
		require.ErrorContains(t, a.NotifyKept(ctx, to, time.Hour, nil), what)
	}
	for _, keep := range []time.Duration{-1, 0, time.Microsecond, 25 * time.Hour} {
		require.ErrorContains(t, a.NotifyKept(ctx, to, keep, nil), "out of range: 1ms to 24h0m0s")
	}
	require.ErrorContains(t, a.NotifyKept(ctx, to, time.Hour, []byte{0xff}), "UTF-8")
	require.NoError(t, a.NotifyKeptBinary(ctx, to, time.Hour, []byte{0xff}))
	require.ErrorContains(t, a.NotifyKept(ctx, to, time.Hour, make([]byte, 256<<10+1)), "MaxKeptBytes is 262144")
	require.ErrorIs(t, a.NotifyKept(ctx, bridge.To{SessionID: "none"}, time.Hour, nil), bridge.ErrSessionMissing)
	require.NoError(t, a.NotifyKept(ctx, bridge.To{UserID: "none"}, time.Hour, nil), "who may log in")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, a.NotifyKept(ended, to, time.Hour, nil), context.Canceled)
	require.NoError(t, a.Shutdown(context.WithoutCancel(ctx)))
	require.ErrorIs(t, a.NotifyKept(ctx, to, time.Hour, nil), bridge.ErrShutdown)
}

// However a session ends, what is kept for it is dropped. Messages for its user stay.
func TestKeptMessagesEndWithTheirSession(t *testing.T) {
	for how, end := range map[string]func(a *testkit.App, id string) error{
		"destroyed": func(a *testkit.App, id string) error { _, err := a.DestroyByID(t.Context(), id); return err },
		"user destroyed": func(a *testkit.App, _ string) error {
			_, err := a.DestroyUser(t.Context(), "ann")
			return err
		},
		"removed from the store": func(a *testkit.App, id string) error { a.NotifyStoreDestroy(id); return nil },
	} {
		t.Run(how, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/login?user=ann")
			id := br.OK("/id")
			require.NoError(t, a.NotifyKept(t.Context(), bridge.To{UserID: "ann"}, time.Hour, []byte("for the user")))
			user := a.KeptMemory()
			require.NoError(t, a.NotifyKept(t.Context(), bridge.To{SessionID: id}, time.Hour, make([]byte, 1000)))
			require.Greater(t, a.KeptMemory(), user+1000)
			require.NoError(t, end(a, id))
			require.Equal(t, user, a.KeptMemory())
		})
	}
}

// nodesOnly is a store of several nodes that keeps no messages.
type nodesOnly struct {
	store.Store
	store.Watcher
}

type nodeOnly struct{ store.Node }

func (n nodesOnly) Watch(onChange func(store.Change)) store.Node {
	return nodeOnly{n.Watcher.Watch(onChange)}
}

// A store of several nodes that keeps no messages: clients that keep their place get what Notify sends.
func TestNotifyKeptNeedsAStoreThatKeeps(t *testing.T) {
	h := testhub.New()
	a := testkit.NewApp(t, nodesOnly{h.Store, h}, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=ann")
	c := br.DialKept("/ws", "")
	c.Expect("ready")
	require.Equal(t, "0", c.Position)
	require.ErrorIs(t, a.NotifyKept(t.Context(), bridge.To{UserID: "ann"}, time.Hour, nil), bridge.ErrUnsupported)
	a.MustNotify(t, bridge.To{SessionID: br.OK("/id")}, "hello", 1)
	c.Expect("hello")
	br.DialKept("/ws", c.Cut()).Expect("ready")
}

// Other connections get messages that are kept as those of Notify, and are sent frames of no kind.
func TestOtherConnectionsGetKeptMessagesLive(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ann := webclient.NewBrowser(t, apps[0].Serve(t))
	ann.OK("/login?user=ann")
	plain, keeping := ann.At(apps[1].Serve(t)).Dial("/ws"), ann.DialKept("/ws", "")
	keeping.Expect("ready")
	plain.Ask("id")
	ctx, to := t.Context(), bridge.To{UserID: "ann"}
	for _, text := range []string{"1", "\x1e2", ""} {
		require.NoError(t, apps[0].NotifyKept(ctx, to, time.Hour, []byte(text)))
		require.Equal(t, text, plain.Hear())
		keeping.Expect("kept: " + text)
	}
	require.NoError(t, apps[1].NotifyKeptBinary(ctx, to, time.Hour, []byte{0x1e, 0xff, '\n'}))
	kind, data, err := plain.Conn.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, []byte{0x1e, 0xff, '\n'}, data)
	kind, data, err = keeping.Conn.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	header, payload, _ := strings.Cut(string(data), "\n")
	require.Equal(t, "\x1e", header[:1])
	require.LessOrEqual(t, len(header), 201)
	require.Equal(t, "\x1e\xff\n", payload)
}

// A message that isn't kept and looks like a frame is escaped for clients that expect frames.
func TestMessagesThatLookLikeFramesAreEscaped(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/echo", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			kind, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if err = c.Write(ctx, kind, data); err != nil {
				return err
			}
		}
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	c, plain := br.DialKept("/echo", ""), br.Dial("/echo")
	c.Expect("ready")
	for _, text := range []string{"\x1e\n", "\x1eposition\nx", "\x1e", "plain", ""} {
		c.Say(text)
		got, err := c.TryHear()
		require.NoError(t, err)
		want := text
		if strings.HasPrefix(text, "\x1e") {
			want = "\x1e\n" + text
		}
		require.Equal(t, want, got)
		require.Equal(t, strings.TrimSpace(text), plain.Ask(text))
	}
	a.MustNotify(t, bridge.To{All: true}, "\x1enot kept", 2)
	c.Expect("\x1enot kept")
	require.Equal(t, "\x1enot kept", plain.Hear())
	require.Equal(t, []byte("\x1e\n\x1e"), bridge.EscapeKept([]byte("\x1e")))
	require.Equal(t, []byte("x"), bridge.EscapeKept([]byte("x")))
}

// A function of Messages sends what it keeps after its changes are stored, once.
func TestMessageNotifyKept(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br, c := testkit.OpenMessages(t, a, nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if err := msg.NotifyKept(bridge.To{All: true}, time.Hour, nil); err == nil {
			return errors.New("it is kept for all")
		}
		return msg.NotifyKept(bridge.To{SessionID: s.ID()}, time.Hour, msg.Data)
	})
	place := br.DialKept("/ws", "")
	place.Expect("ready")
	c.Say("hello")
	place.Expect("kept: hello")
	require.Equal(t, "hello", c.Hear())
	br.DialKept("/ws", place.Cut()).Expect("ready")
}

// A client that doesn't read for a while is neither closed nor does it miss a message: the log has
// them.
func TestASlowClientMissesNothingThatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/few", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error {
			<-ctx.Done()
			return nil
		}, &bridge.ConnOptions{NotifyQueue: 1, Heartbeat: bridge.Off, WriteTimeout: bridge.Off}))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/login?user=ann")
		c := br.DialKept("/few", "")
		c.Expect("ready")
		var want []string
		for range 200 {
			text := strings.Repeat("x", 1000)
			require.NoError(t, a.NotifyKept(t.Context(), bridge.To{UserID: "ann"}, time.Hour, []byte(text)))
			want = append(want, "kept: "+text)
		}
		synctest.Wait()
		c.Expect(want...)
	})
}

// With Follow, a connection that keeps its place is sent back instead of being moved to another
// session.
func TestKeptConnectionsDoNotFollow(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	c, plain := br.DialKept("/ws", ""), br.Dial("/ws")
	c.Expect("ready")
	br.OK("/login?user=ann")
	require.Equal(t, bridge.CodeReconnect, c.Closed())
	require.Equal(t, `1`, plain.Ask("get"))
	c = br.DialKept("/ws", c.Position)
	c.Expect("ready")
	require.NoError(t, a.NotifyKept(t.Context(), bridge.To{UserID: "ann"}, time.Hour, []byte("hello")))
	c.Expect("kept: hello")
	br.OK("/logout")
	br.OK("/login?user=bob")
	require.Equal(t, bridge.CodeDestroyed, c.Closed())
}

// A store that fails while a connection reads what it has missed closes it with CodeUnavailable.
func TestAStoreThatFailsToReadClosesTheConnection(t *testing.T) {
	a := testkit.NewApp(t, failingKeeper{livestore.New()}, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	require.Equal(t, bridge.CodeUnavailable, br.DialKept("/ws", "").Closed())
	require.ErrorIs(t, a.NotifyKept(t.Context(), bridge.To{UserID: "ann"}, time.Hour, nil), bridge.ErrStoreUnavailable)
	require.Eventually(t, func() bool { return a.Stats().Conns == 0 }, await.Limit, time.Millisecond)
}

type failingKeeper struct{ *livestore.Store }

func (failingKeeper) Keep(context.Context, store.KeptFor, store.KeptMessage, store.KeepLimits) error {
	return store.ErrClosed
}

func (failingKeeper) Kept(context.Context, store.KeptFor, uint64) (store.Kept, error) {
	return store.Kept{}, store.ErrClosed
}

// A node doesn't hold the logs of a session and a user any more when the last connection has ended that reads
// them.
func TestLogsAreReleasedWithTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/login?user=ann")
		plain := br.Dial("/ws")
		require.Equal(t, "0", plain.Ask("get"))
		sessions, clients := h.Node(0).Holds()
		c := br.DialKept("/ws", "")
		c.Expect("ready")
		_, topics := h.Node(0).Holds()
		require.Equal(t, clients+2, topics, "the logs of the session and of the user")
		c.Cut()
		time.Sleep(time.Minute)
		sessionsNow, clientsNow := h.Node(0).Holds()
		require.Equal(t, sessions, sessionsNow)
		require.Equal(t, clients, clientsNow)
	})
}

// Any library, and an event stream, has the messages with their positions.
func TestLinkOnKept(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	got := make(chan bridge.Kept, 10)
	plain := make(chan string, 10)
	stream := func(position string) (*bridge.Link, string) {
		link, id := testkit.Attach(t, a, func(int, string) {})
		require.NoError(t, link.OnKept(t.Context(), position, 0, bridge.CloseSlow,
			func(_ websocket.MessageType, data []byte) error { plain <- string(data); return nil },
			func(k bridge.Kept) error { got <- k; return nil }))
		return link, id
	}
	link, id := stream("")
	ready := await.Receive(t, got)
	require.Equal(t, bridge.KeptReady, ready.State)
	to := bridge.To{SessionID: id}
	require.NoError(t, a.NotifyKept(t.Context(), to, time.Hour, []byte("1")))
	one := await.Receive(t, got)
	require.Equal(t, "1", string(one.Data))
	require.Equal(t, bridge.KeptMessage, one.State)
	require.Equal(t, "\x1e"+one.Position+"\n1", string(one.Frame()))
	a.MustNotify(t, to, "2", 1)
	require.Equal(t, "2", await.Receive(t, plain))
	link.Detach()

	follow := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow})
	link, _ = testkit.Attach(t, follow, func(int, string) {})
	require.ErrorIs(t, link.OnKept(t.Context(), "", 0, bridge.CloseSlow, nil, nil), bridge.ErrUnsupported)
	link.Detach()

	r := webclient.UpgradeRequest(t, "/ws", "Sec-WebSocket-Protocol", "chat, sessionbridge.kept."+one.Position)
	position, ok := bridge.KeptPosition(r)
	require.True(t, ok)
	require.Equal(t, one.Position, position)
	for offers, want := range map[string]bool{"sessionbridge": false, "sessionbridge.kept": true, "sessionbridge.keptx": false} {
		r = webclient.UpgradeRequest(t, "/ws", "Sec-WebSocket-Protocol", offers)
		position, ok = bridge.KeptPosition(r)
		require.Equal(t, want, ok)
		require.Empty(t, position)
	}
	_, ok = bridge.KeptPosition(&http.Request{})
	require.False(t, ok)
}

// A client that keeps its place takes no goroutine and no timer (G11).
func TestG11_NothingPerSocket_KeptMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/login?user=ann")
		count := func(n int, dial func()) int {
			synctest.Wait()
			before := testkit.Goroutines()
			for range n {
				dial()
			}
			synctest.Wait()
			return testkit.Goroutines() - before
		}
		plain := count(10, func() { br.Dial("/ws").Ask("id") })
		kept := count(10, func() {
			c := br.DialKept("/ws", "")
			c.Expect("ready")
			c.Ask("id")
		})
		require.Equal(t, plain, kept)
	})
}
