package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
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

func TestNotifyReachesThoseWhoAreMeant(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	site := a.Serve(t)
	phone, laptop, bob, nobody := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	phone.OK("/login?user=ann")
	laptop.OK("/login?user=ann")
	bob.OK("/login?user=bob")
	open := func(br *webclient.Browser) *webclient.Socket {
		s := br.Dial("/ws")
		s.Ask("id")
		return s
	}
	p1, p2, l, b, n := open(phone), open(phone), open(laptop), open(bob), open(nobody)

	a.MustNotify(t, bridge.To{UserID: "ann"}, "for ann", 3)
	a.MustNotify(t, bridge.To{SessionID: phone.OK("/id")}, "for her phone", 2)
	a.MustNotify(t, bridge.To{ClientID: testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: laptop.OK("/id")})[0].ClientID}, "for her laptop", 1)
	a.MustNotify(t, bridge.To{All: true}, "for all", 5)
	a.MustNotify(t, bridge.To{UserID: "nobody"}, "for nobody", 0)
	for s, want := range map[*webclient.Socket][]string{
		p1: {"for ann", "for her phone", "for all"}, p2: {"for ann", "for her phone", "for all"},
		l: {"for ann", "for her laptop", "for all"}, b: {"for all"}, n: {"for all"},
	} {
		for _, text := range want {
			require.Equal(t, text, s.Hear(), "in order")
		}
	}

	laptop.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, l.Closed())
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 4)
	a.MustNotify(t, bridge.To{UserID: "ann"}, "still here", 2)
	bob.OK("/login?user=ann") // who was bob
	require.Equal(t, bridge.CodeReconnect, b.Closed())
	back := open(bob)
	a.MustNotify(t, bridge.To{UserID: "bob"}, "gone", 0)
	a.MustNotify(t, bridge.To{UserID: "ann"}, "now ann's too", 3)
	require.Equal(t, "now ann's too", back.Hear())
}

func TestNotifyReachesAllButOne(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=ann")
	name := func(s *webclient.Socket, after ...string) string {
		s.Ask("id")
		for _, c := range testkit.Conns(t, a.Bridge, bridge.ConnFilter{}) {
			if !slices.Contains(after, c.ID) {
				return c.ID
			}
		}
		panic("it is open")
	}
	first := br.Dial("/ws")
	firstID := name(first)
	second := br.Dial("/ws")
	secondID := name(second, firstID)
	session := br.OK("/id")
	client, _ := a.ClientIDOf(session)
	for i, to := range []bridge.To{{SessionID: session}, {ClientID: client}, {UserID: "ann"}, {All: true}} {
		text := strconv.Itoa(i)
		to.Except = firstID
		a.MustNotify(t, to, text, 1)
		require.Equal(t, text, second.Hear())
	}
	a.MustNotify(t, bridge.To{All: true, Except: "no connection"}, "both", 2)
	require.Equal(t, "both", first.Hear(), "nothing before it")
	require.Equal(t, "both", second.Hear())

	a.MustNotify(t, bridge.To{Conns: []string{secondID, "no connection", secondID}}, "by ID", 1)
	a.MustNotify(t, bridge.To{Conns: []string{secondID, firstID}}, "by IDs", 2)
	require.Equal(t, "by IDs", first.Hear())
	require.Equal(t, "by ID", second.Hear(), "once")
	require.Equal(t, "by IDs", second.Hear())
}

func TestNotifyJSON(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	s := webclient.NewBrowser(t, a.Serve(t)).Dial("/ws")
	s.Ask("id")
	n, err := a.NotifyJSON(t.Context(), bridge.To{All: true}, map[string]any{"unread": 3})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.JSONEq(t, `{"unread": 3}`, s.Hear())
	_, err = a.NotifyJSON(t.Context(), bridge.To{All: true}, func() {})
	var unsupported *json.UnsupportedTypeError
	require.ErrorAs(t, err, &unsupported)
	_, err = a.NotifyJSON(t.Context(), bridge.To{}, 1)
	require.ErrorContains(t, err, "To has no receiver")
}

// A name is a room: all connections that have it, but one.
func TestNotifyToAName(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/room", a.WebSocket(testkit.Converse, &bridge.ConnOptions{
		Name: func(r *http.Request) string { return r.URL.Query().Get("name") },
		ID:   func(r *http.Request) string { return r.URL.Query().Get("id") },
	}))
	site := a.Serve(t)
	sockets := map[string]*webclient.Socket{}
	for id, name := range map[string]string{"one": "hall", "two": "hall", "three": "attic", "four": ""} {
		sockets[id] = webclient.NewBrowser(t, site).Dial("/room?id=" + id + "&name=" + name)
		sockets[id].Ask("id")
	}
	a.MustNotify(t, bridge.To{Name: "hall"}, "both", 2)
	a.MustNotify(t, bridge.To{Name: "hall", Except: "one"}, "two", 1)
	a.MustNotify(t, bridge.To{Name: "cellar"}, "none", 0)
	a.MustNotify(t, bridge.To{All: true}, "all", 4)
	for id, want := range map[string][]string{"one": {"both", "all"}, "two": {"both", "two", "all"}, "three": {"all"}, "four": {"all"}} {
		for _, text := range want {
			require.Equal(t, text, sockets[id].Hear(), id)
		}
	}
}

func TestNotifyAfterTheShutdown(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	require.NoError(t, a.Shutdown(t.Context()))
	_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("x"))
	require.ErrorIs(t, err, bridge.ErrShutdown)
}

func TestNotifyTakesOnlyWhatMakesSense(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for want, to := range map[string]bridge.To{
		"exactly one of SessionID, ClientID, UserID, Name, All and Conns": {},
		"SessionID and UserID are set":                                    {SessionID: "a", UserID: "b"},
		"UserID and Name are set":                                         {UserID: "a", Name: "b"},
		"ClientID and All are set":                                        {All: true, ClientID: "c"},
		"All and Conns are set":                                           {All: true, Conns: []string{"d"}},
		"To has no receiver":                                              {Except: "e", Conns: []string{}},
		"To.Except is set with Conns":                                     {Except: "e", Conns: []string{"d"}},
		"To.Conns[1] is empty":                                            {Conns: []string{"d", ""}},
	} {
		_, err := a.Notify(t.Context(), to, []byte("x"))
		require.ErrorContains(t, err, want)
	}
	_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("\xff"))
	require.ErrorContains(t, err, "UTF-8")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(teststore.ErrDiskFull)
	_, err = a.Notify(ctx, bridge.To{All: true}, []byte("x"))
	require.ErrorIs(t, err, teststore.ErrDiskFull)
}

func TestNotifyBinaryAndEmptyAndLarge(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	s := webclient.NewBrowser(t, a.Serve(t)).Dial("/ws")
	s.Conn.SetReadLimit(-1)
	s.Ask("id")
	payload := []byte("\xff\x00")
	n, err := a.NotifyBinary(t.Context(), bridge.To{All: true}, payload)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	payload[0] = 'x' // it is the caller's again
	kind, data, err := s.Conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, "\xff\x00", string(data))
	a.MustNotify(t, bridge.To{All: true}, "", 1)
	require.Empty(t, s.Hear())
	large := strings.Repeat("ä", 1<<20)
	a.MustNotify(t, bridge.To{All: true}, large, 1)
	require.Equal(t, large, s.Hear())
}

// Many notifiers, many connections: each connection gets what each notifier sends in its order.
func TestNotifyKeepsTheOrderOfEachSender(t *testing.T) {
	const senders, each, tabs = 8, 50, 6
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/wide", a.WebSocket(testkit.Converse, &bridge.ConnOptions{NotifyQueue: senders * each}))
	site := a.Serve(t)
	var sockets []*webclient.Socket
	for range tabs {
		s := webclient.NewBrowser(t, site).Dial("/wide")
		s.Ask("id")
		sockets = append(sockets, s)
	}
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				if n, err := a.Notify(t.Context(), bridge.To{All: true}, fmt.Appendf(nil, "%d %d", i, j)); err != nil || n != tabs {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range sockets {
		next := [senders]int{}
		for range senders * each {
			var i, j int
			_, err := fmt.Sscan(s.Hear(), &i, &j)
			require.NoError(t, err)
			require.Equal(t, next[i], j)
			next[i]++
		}
	}
	require.Zero(t, a.Stats().NotifyDropped)
}

// stalled is a connection whose client stops reading within a message: what is sent to it after
// that waits. drain reads the rest of the message.
func stalled(t *testing.T, o bridge.ConnOptions) (a *testkit.App, site *webclient.Site, s *webclient.Socket, drain func()) {
	a = testkit.NewApp(t, livestore.New(), nil)
	o.Heartbeat = bridge.Off // it reads no ping
	a.Mux.Handle("/stalled", a.WebSocket(testkit.Converse, &o))
	site = a.Serve(t)
	s = webclient.NewBrowser(t, site).Dial("/stalled")
	s.Conn.SetReadLimit(-1)
	s.Ask("id")
	const large = 64 << 20 // more than the network takes
	a.MustNotify(t, bridge.To{All: true}, strings.Repeat("x", large), 1)
	_, r, err := s.Conn.Reader(t.Context())
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 1)) // it is being sent
	require.NoError(t, err)
	return a, site, s, func() {
		n, err := io.Copy(io.Discard, r)
		require.NoError(t, err)
		require.EqualValues(t, large-1, n)
	}
}

func TestG12_SlowSocketDelaysNobody_Notify(t *testing.T) {
	a, site, slow, drain := stalled(t, bridge.ConnOptions{WriteTimeout: bridge.Off})
	fast := webclient.NewBrowser(t, site).Dial("/ws")
	for i := range 10 {
		fast.Ask("id")
		_, err := a.Notify(t.Context(), bridge.To{All: true}, fmt.Append(nil, i))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), fast.Hear())
	}
	drain()
	for i := range 10 {
		require.Equal(t, fmt.Sprint(i), slow.Hear(), "it loses nothing that there was room for")
	}
}

func TestNotifyToAFullQueue(t *testing.T) {
	const queue = 4
	for policy, want := range map[bridge.OverflowPolicy][]string{
		bridge.DropOldest: {"6", "7", "8", "9"},
		bridge.DropNewest: {"0", "1", "2", "3"},
	} {
		a, _, s, drain := stalled(t, bridge.ConnOptions{NotifyQueue: queue, OnNotifyFull: policy, WriteTimeout: bridge.Off})
		for i := range 10 {
			_, err := a.Notify(t.Context(), bridge.To{All: true}, fmt.Append(nil, i))
			require.NoError(t, err)
		}
		require.EqualValues(t, 10-queue, a.Stats().NotifyDropped)
		drain()
		for _, text := range want {
			require.Equal(t, text, s.Hear())
		}
	}
}

func TestNotifyClosesAConnThatIsTooSlow(t *testing.T) {
	t.Parallel()
	a, _, _, _ := stalled(t, bridge.ConnOptions{NotifyQueue: 4, WriteTimeout: bridge.Off})
	ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
	for range 6 {
		_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("more"))
		require.NoError(t, err)
	}
	require.Equal(t, bridge.CodePolicy, ended.Next().Code)
	require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
}

func TestNotifyBeforeACloseArrives(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for range 50 {
		s := br.Dial("/ws")
		s.Ask("id")
		a.MustNotify(t, bridge.To{SessionID: br.OK("/id")}, "one", 1)
		a.MustNotify(t, bridge.To{SessionID: br.OK("/id")}, "two", 1)
		_, err := a.CloseConns(t.Context(), bridge.ConnFilter{SessionID: br.OK("/id")}, 4100, "that's all")
		require.NoError(t, err)
		require.Equal(t, "one", s.Hear())
		require.Equal(t, "two", s.Hear())
		require.Equal(t, 4100, s.Closed())
	}
}

func TestLastMessageBeforeTheClose(t *testing.T) {
	ends := make(chan bridge.SessionDestroy, 10)
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(e bridge.SessionDestroy) []byte {
		ends <- e
		return fmt.Appendf(nil, "you were logged out: %s", e.Reason)
	}})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	one, two := br.Dial("/ws"), br.Dial("/ws")
	one.Ask("id")
	two.Ask("id")
	br.OK("/logout")
	for _, s := range []*webclient.Socket{one, two} {
		require.Equal(t, "you were logged out: logout", s.Hear())
		require.Equal(t, bridge.CodeDestroyed, s.Closed())
	}
	require.Equal(t, bridge.ReasonLogout, (<-ends).Reason)
	require.Empty(t, ends, "asked once for each session")
}

func TestLastMessageThatPanicsOrIsNoneHurtsNobody(t *testing.T) {
	for _, last := range []func(bridge.SessionDestroy) []byte{
		func(bridge.SessionDestroy) []byte { panic("no words") },
		func(bridge.SessionDestroy) []byte { return nil },
	} {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: last})
		br := webclient.NewBrowser(t, a.Serve(t))
		br.OK("/inc")
		s := br.Dial("/ws")
		s.Ask("id")
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, s.Closed())
	}
}

func TestLastMessageToASocketThatLogsOutItself(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte { return []byte("bye") }})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	s := br.Dial("/ws")
	require.Equal(t, "1", s.Ask("logout"), "the answer comes first")
	require.Equal(t, "bye", s.Hear())
	require.Equal(t, bridge.CodeDestroyed, s.Closed())
}

func TestLastMessageToAConnThatTakesNothingTakesASecondAtMost(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte { return []byte("bye") }})
	a.Mux.Handle("/stalled", a.WebSocket(testkit.Converse, &bridge.ConnOptions{WriteTimeout: bridge.Off, Heartbeat: bridge.Off}))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	s := br.Dial("/stalled")
	s.Ask("id")
	ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
	a.MustNotify(t, bridge.To{All: true}, strings.Repeat("x", 64<<20), 1)
	br.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, ended.Next().Code)
}

func TestLinksTakeMessagesToo(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	got := make(chan string, 10)
	a.Mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		link, err := a.Attach(r, func(int, string) { got <- "closed"; cancel() })
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		defer link.Detach()
		link.OnNotify(0, bridge.CloseSlow, func(kind websocket.MessageType, data []byte) error {
			got <- string(data)
			if string(data) == "fail" {
				return errors.New("connection lost")
			}
			return nil
		})
		_ = http.NewResponseController(w).Flush()
		<-ctx.Done()
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	go func() { _, _ = br.Try(t.Context(), "/stream") }()
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{SessionID: id}, 1)
	require.Eventually(t, func() bool {
		n, err := a.Notify(t.Context(), bridge.To{SessionID: id}, []byte("hello"))
		return err == nil && n == 1
	}, await.Limit, time.Millisecond)
	require.Equal(t, "hello", <-got)
	br.OK("/logout")
	require.Equal(t, "closed", <-got)
}
