package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// notify sends text to those who are meant, who must be n.
func (a *app) notify(t *testing.T, to bridge.To, text string, n int) {
	t.Helper()
	sent, err := a.Notify(t.Context(), to, []byte(text))
	require.NoError(t, err)
	require.Equal(t, n, sent)
}

func TestNotifyReachesThoseWhoAreMeant(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	site := a.serve(t)
	phone, laptop, bob, nobody := newBrowser(t, site), newBrowser(t, site), newBrowser(t, site), newBrowser(t, site)
	phone.ok("/login?user=ann")
	laptop.ok("/login?user=ann")
	bob.ok("/login?user=bob")
	open := func(br *browser) *socket {
		s := br.dial("/ws")
		s.ask("id")
		return s
	}
	p1, p2, l, b, n := open(phone), open(phone), open(laptop), open(bob), open(nobody)

	a.notify(t, bridge.To{UserID: "ann"}, "for ann", 3)
	a.notify(t, bridge.To{SessionID: phone.ok("/id")}, "for her phone", 2)
	a.notify(t, bridge.To{ClientID: conns(t, a.Bridge, bridge.ConnFilter{SessionID: laptop.ok("/id")})[0].ClientID}, "for her laptop", 1)
	a.notify(t, bridge.To{All: true}, "for all", 5)
	a.notify(t, bridge.To{UserID: "nobody"}, "for nobody", 0)
	for s, want := range map[*socket][]string{
		p1: {"for ann", "for her phone", "for all"}, p2: {"for ann", "for her phone", "for all"},
		l: {"for ann", "for her laptop", "for all"}, b: {"for all"}, n: {"for all"},
	} {
		for _, text := range want {
			require.Equal(t, text, s.hear(), "in order")
		}
	}

	laptop.ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, l.closed())
	openConns(t, a.Bridge, bridge.ConnFilter{}, 4)
	a.notify(t, bridge.To{UserID: "ann"}, "still here", 2)
	bob.ok("/login?user=ann") // who was bob
	require.Equal(t, bridge.CodeReconnect, b.closed())
	back := open(bob)
	a.notify(t, bridge.To{UserID: "bob"}, "gone", 0)
	a.notify(t, bridge.To{UserID: "ann"}, "now ann's too", 3)
	require.Equal(t, "now ann's too", back.hear())
}

func TestNotifyTakesOnlyWhatMakesSense(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	for _, to := range []bridge.To{{}, {SessionID: "a", UserID: "b"}, {All: true, ClientID: "c"}} {
		_, err := a.Notify(t.Context(), to, []byte("x"))
		require.ErrorContains(t, err, "exactly one")
	}
	_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("\xff"))
	require.ErrorContains(t, err, "UTF-8")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStore)
	_, err = a.Notify(ctx, bridge.To{All: true}, []byte("x"))
	require.ErrorIs(t, err, errStore)
}

func TestNotifyBinaryAndEmptyAndLarge(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	s := newBrowser(t, a.serve(t)).dial("/ws")
	s.ws.SetReadLimit(-1)
	s.ask("id")
	payload := []byte("\xff\x00")
	n, err := a.NotifyBinary(t.Context(), bridge.To{All: true}, payload)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	payload[0] = 'x' // it is the caller's again
	kind, data, err := s.ws.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, "\xff\x00", string(data))
	a.notify(t, bridge.To{All: true}, "", 1)
	require.Empty(t, s.hear())
	large := strings.Repeat("ä", 1<<20)
	a.notify(t, bridge.To{All: true}, large, 1)
	require.Equal(t, large, s.hear())
}

// Many notifiers, many connections: each connection gets what each notifier sends in its order.
func TestNotifyKeepsTheOrderOfEachSender(t *testing.T) {
	const senders, each, tabs = 8, 50, 6
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/wide", a.WebSocket(converse, &bridge.ConnOptions{NotifyQueue: senders * each}))
	site := a.serve(t)
	var sockets []*socket
	for range tabs {
		s := newBrowser(t, site).dial("/wide")
		s.ask("id")
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
			_, err := fmt.Sscan(s.hear(), &i, &j)
			require.NoError(t, err)
			require.Equal(t, next[i], j)
			next[i]++
		}
	}
	require.Zero(t, a.Stats().NotifyDropped)
}

// stalled is a connection whose client stops reading within a message: what is sent to it after that waits. drain reads the rest of the message.
func stalled(t *testing.T, o bridge.ConnOptions) (a *app, site *site, s *socket, drain func()) {
	a = makeApp(t, livestore.New(), nil)
	o.Heartbeat = bridge.Off // it reads no ping
	a.mux.Handle("/stalled", a.WebSocket(converse, &o))
	site = a.serve(t)
	s = newBrowser(t, site).dial("/stalled")
	s.ws.SetReadLimit(-1)
	s.ask("id")
	const large = 64 << 20 // more than the network takes
	a.notify(t, bridge.To{All: true}, strings.Repeat("x", large), 1)
	_, r, err := s.ws.Reader(t.Context())
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
	fast := newBrowser(t, site).dial("/ws")
	for i := range 10 {
		fast.ask("id")
		_, err := a.Notify(t.Context(), bridge.To{All: true}, fmt.Append(nil, i))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), fast.hear())
	}
	drain()
	for i := range 10 {
		require.Equal(t, fmt.Sprint(i), slow.hear(), "it loses nothing that there was room for")
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
			require.Equal(t, text, s.hear())
		}
	}
}

func TestNotifyClosesAConnThatIsTooSlow(t *testing.T) {
	a, _, _, _ := stalled(t, bridge.ConnOptions{NotifyQueue: 4, WriteTimeout: bridge.Off})
	ended := record[bridge.ConnClose](t, a.Bridge)
	for range 6 {
		_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("more"))
		require.NoError(t, err)
	}
	require.Equal(t, bridge.CodePolicy, ended.next().Code)
	require.Empty(t, conns(t, a.Bridge, bridge.ConnFilter{}))
}

func TestNotifyBeforeACloseArrives(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	for range 50 {
		s := br.dial("/ws")
		s.ask("id")
		a.notify(t, bridge.To{SessionID: br.ok("/id")}, "one", 1)
		a.notify(t, bridge.To{SessionID: br.ok("/id")}, "two", 1)
		_, err := a.CloseConns(t.Context(), bridge.ConnFilter{SessionID: br.ok("/id")}, 4100, "that's all")
		require.NoError(t, err)
		require.Equal(t, "one", s.hear())
		require.Equal(t, "two", s.hear())
		require.Equal(t, 4100, s.closed())
	}
}

func TestLastMessageBeforeTheClose(t *testing.T) {
	ends := make(chan bridge.SessionDestroy, 10)
	a := makeApp(t, livestore.New(), &bridge.Options{LastMessage: func(e bridge.SessionDestroy) []byte {
		ends <- e
		return fmt.Appendf(nil, "you were logged out: %s", e.Reason)
	}})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	one, two := br.dial("/ws"), br.dial("/ws")
	one.ask("id")
	two.ask("id")
	br.ok("/logout")
	for _, s := range []*socket{one, two} {
		require.Equal(t, "you were logged out: logout", s.hear())
		require.Equal(t, bridge.CodeDestroyed, s.closed())
	}
	require.Equal(t, bridge.ReasonLogout, (<-ends).Reason)
	require.Empty(t, ends, "asked once for each session")
}

func TestLastMessageThatPanicsOrIsNoneHurtsNobody(t *testing.T) {
	for _, last := range []func(bridge.SessionDestroy) []byte{
		func(bridge.SessionDestroy) []byte { panic("no words") },
		func(bridge.SessionDestroy) []byte { return nil },
	} {
		a := makeApp(t, livestore.New(), &bridge.Options{LastMessage: last})
		br := newBrowser(t, a.serve(t))
		br.ok("/inc")
		s := br.dial("/ws")
		s.ask("id")
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, s.closed())
	}
}

func TestLastMessageToASocketThatLogsOutItself(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte { return []byte("bye") }})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	s := br.dial("/ws")
	require.Equal(t, "1", s.ask("logout"), "the answer comes first")
	require.Equal(t, "bye", s.hear())
	require.Equal(t, bridge.CodeDestroyed, s.closed())
}

func TestLastMessageToAConnThatTakesNothingTakesASecondAtMost(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte { return []byte("bye") }})
	a.mux.Handle("/stalled", a.WebSocket(converse, &bridge.ConnOptions{WriteTimeout: bridge.Off, Heartbeat: bridge.Off}))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	s := br.dial("/stalled")
	s.ask("id")
	ended := record[bridge.ConnClose](t, a.Bridge)
	a.notify(t, bridge.To{All: true}, strings.Repeat("x", 64<<20), 1)
	br.ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, ended.next().Code)
}

func TestLinksTakeMessagesToo(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	got := make(chan string, 10)
	a.mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
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
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	go func() { _, _ = br.try(t.Context(), "/stream") }()
	openConns(t, a.Bridge, bridge.ConnFilter{SessionID: id}, 1)
	require.Eventually(t, func() bool {
		n, err := a.Notify(t.Context(), bridge.To{SessionID: id}, []byte("hello"))
		return err == nil && n == 1
	}, patience, time.Millisecond)
	require.Equal(t, "hello", <-got)
	br.ok("/logout")
	require.Equal(t, "closed", <-got)
}
