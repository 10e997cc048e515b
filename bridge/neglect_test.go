package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// greetThenPush reads one message, and then no more.
func greetThenPush(ctx context.Context, c *bridge.Conn) error {
	if _, _, err := c.Read(ctx); err != nil {
		return err
	}
	return testkit.PushOnly(ctx, c)
}

// departures are how a page leaves, and the code that its end is reported with.
var departures = map[string]struct {
	leave func(ws *websocket.Conn)
	code  int
}{
	"with a close frame":    {func(ws *websocket.Conn) { _ = ws.Close(4321, "navigated away") }, 4321},
	"with an empty one":     {func(ws *websocket.Conn) { _ = ws.Close(websocket.StatusNoStatusRcvd, "") }, 1005},
	"without a close frame": {func(ws *websocket.Conn) { _ = ws.CloseNow() }, -1},
}

func TestConnThatOnlyPushesNoticesThatItsTabIsGone(t *testing.T) {
	t.Parallel()
	for name, way := range departures {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, nil))
			ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			const tabs = 20
			for range tabs {
				ws := br.Dial("/push")
				require.Equal(t, "open", ws.Hear())
				go way.leave(ws.Conn)
			}
			for range tabs {
				require.Equal(t, way.code, ended.Next().Code)
			}
			require.Zero(t, a.Stats().Conns)
		})
	}
}

func TestConnThatReadsOnceAndThenPushesNoticesThatItsTabIsGone(t *testing.T) {
	t.Parallel()
	for name, way := range departures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := testkit.NewApp(t, livestore.New(), nil)
			a.Mux.Handle("/push", a.WebSocket(greetThenPush, nil))
			ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			ws := br.Dial("/push")
			require.Equal(t, "open", ws.Ask("hello"))
			ws.Say("more")
			ws.Say("that nobody reads")
			way.leave(ws.Conn)
			require.Equal(t, way.code, ended.Next().Code)
			require.Zero(t, a.Stats().Conns)
		})
	}
}

// The page is loaded anew again and again: each connection leaves before the next one comes, and
// none of the handlers reads.
func TestReloadsOfAPageAreNotTooManyConnections(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]bridge.Options{
		"session": {MaxConnsPerSession: 3},
		"address": {MaxConnsPerAddr: 3},
	} {
		for handler, fn := range map[string]func(context.Context, *bridge.Conn) error{"push": testkit.PushOnly, "greeting": greetThenPush} {
			t.Run(name+"/"+handler, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &opts)
				a.Mux.Handle("/push", a.WebSocket(fn, nil))
				br := webclient.NewBrowser(t, a.Serve(t))
				br.OK("/inc")
				id := br.OK("/id")
				for range 12 {
					ws := br.Dial("/push")
					if handler == "greeting" {
						ws.Say("hello")
					}
					require.Equal(t, "open", ws.Hear())
					n, err := a.Notify(t.Context(), bridge.To{SessionID: id}, []byte("news"))
					require.NoError(t, err)
					require.Positive(t, n)
					require.Equal(t, "news", ws.Hear())
					require.NoError(t, ws.Conn.CloseNow())
				}
				require.Eventually(t, func() bool { return a.Stats().Conns == 0 }, await.Limit, time.Millisecond)
			})
		}
	}
}

// TestReloadWhoseOldConnectionIsJustEnding: a page is loaded anew, and the end of its old
// connection, which is being read, arrives a little after the handshake of its new one.
func TestReloadWhoseOldConnectionIsJustEnding(t *testing.T) {
	for name, opts := range map[string]bridge.Options{
		"session": {MaxConnsPerSession: 1},
		"address": {MaxConnsPerAddr: 1},
	} {
		for _, late := range []time.Duration{time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond} {
			t.Run(fmt.Sprint(name, " ", late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewApp(t, livestore.New(), &opts)
					br := webclient.NewBrowser(t, a.ServeInMemory(t))
					br.OK("/inc")
					old := br.Dial("/ws")
					require.NotEmpty(t, old.Ask("id"))
					synctest.Wait() // its handler reads: otherwise the Bridge would, and wait for a second
					var leaving sync.WaitGroup
					leaving.Go(func() {
						time.Sleep(late)
						_ = old.Conn.CloseNow()
					})
					defer leaving.Wait()
					fresh, _, err := br.TryDial("/ws", nil)
					if late > 250*time.Millisecond { // no connection waits longer for another one's end
						require.True(t, err != nil || fresh.Closed() == bridge.CodePolicy)
						return
					}
					require.NoError(t, err)
					require.NotEmpty(t, fresh.Ask("id"))
				})
			})
		}
	}
}

// That others are looked at before one is refused lets no more of them in.
func TestConnLimitHoldsWhereNobodyReads(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 3})
	a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for range 3 {
		br.Dial("/push").Listen()
	}
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 3)
	for range 3 {
		require.Equal(t, bridge.CodePolicy, br.Dial("/push").Closed())
	}
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 3)
}

// gonePeers are handlers that read nothing, or nothing any more.
var gonePeers = map[string]func(ctx context.Context, c *bridge.Conn) error{
	"push":      testkit.PushOnly,
	"CloseRead": func(_ context.Context, c *bridge.Conn) error { <-c.CloseRead().Done(); return nil },
	"busy": func(ctx context.Context, _ *bridge.Conn) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Hour):
			return errors.New("busy for an hour")
		}
	},
	"ignores failing writes": func(ctx context.Context, c *bridge.Conn) error {
		for ctx.Err() == nil {
			_ = c.Write(ctx, websocket.MessageText, []byte("tick"))
			time.Sleep(3 * time.Second)
		}
		return nil
	},
}

func TestS13_HeartbeatCutsAPeerThatIsGoneWhereNobodyReads(t *testing.T) {
	for name, fn := range gonePeers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				a.Mux.Handle("/gone", a.WebSocket(fn, nil))
				ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
				webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/gone") // its other end takes nothing and says nothing
				time.Sleep(45 * time.Second)
				synctest.Wait()
				require.Zero(t, a.Stats().Conns)
				e := ended.Next()
				require.Equal(t, -1, e.Code)
				require.LessOrEqual(t, e.Open, 45*time.Second)
			})
		})
	}
}

func TestHeartbeatLeavesAPeerAloneThatAnswersWhereNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		ws := br.Dial("/push").Listen()
		time.Sleep(24 * time.Hour)
		n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("good morning"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "open", ws.Hear())
		require.Equal(t, "good morning", ws.Hear())
	})
}

// A client of another kind than a browser pings, and gives a server up that doesn't answer.
func TestPingsOfAClientAreAnsweredWhereNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/push").Listen()
		for range 100 {
			time.Sleep(20 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.NoError(t, ws.Conn.Ping(ctx))
			cancel()
		}
	})
}

func TestPingOfTheHandlerNeedsNoRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		pings := make(chan error, 1000)
		a.Mux.Handle("/pinger", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for range cap(pings) { // far more than a client may send by itself
				pings <- c.Ping(ctx)
			}
			return nil
		}, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/pinger").Listen()
		require.Equal(t, 1000, ws.ClosedEventually())
		for range cap(pings) {
			require.NoError(t, <-pings)
		}
	})
}

// busy reads all messages, with pauses in between in which nobody reads.
func TestMessagesThatComeWhileTheHandlerIsBusyAreReadInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		const n = 400
		got := make(chan string, n)
		a.Mux.Handle("/busy", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for {
				if rand.N(3) == 0 {
					time.Sleep(rand.N(3 * time.Second))
				}
				_, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				got <- string(data)
			}
		}, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/busy").Listen()
		for i := range n {
			text := fmt.Sprintf("%d %s", i, strings.Repeat("x", rand.N(150))) // all of them together fit into what waits for a Read
			if rand.N(3) == 0 {                                               // in fragments, with a pause in the middle
				w, err := ws.Conn.Writer(t.Context(), websocket.MessageText)
				require.NoError(t, err)
				_, err = w.Write([]byte(text[:1]))
				require.NoError(t, err)
				time.Sleep(rand.N(time.Second))
				_, err = w.Write([]byte(text[1:]))
				require.NoError(t, err)
				require.NoError(t, w.Close())
			} else {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				require.NoError(t, ws.Conn.Write(ctx, websocket.MessageText, []byte(text)))
				cancel()
			}
			if rand.N(5) == 0 {
				time.Sleep(rand.N(2 * time.Second))
			}
			if rand.N(10) == 0 {
				require.NoError(t, ws.Conn.Ping(t.Context()))
			}
		}
		for i := range n {
			text := <-got
			require.True(t, strings.HasPrefix(text, fmt.Sprint(i)+" "), "%d: %.20s", i, text)
		}
	})
}

// A client can't fill the memory of a server whose handler doesn't read.
func TestClientHasToWaitForAHandlerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		goOn := make(chan struct{})
		got := 0
		a.Mux.Handle("/later", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			<-goOn
			for {
				_, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				got += len(data)
			}
		}, &bridge.ConnOptions{WriteTimeout: bridge.Off}))
		conn := webclient.Handshake(t, a.ServeInMemory(t), "/later")
		go func() { _, _ = io.Copy(io.Discard, conn) }() // pings, which wait for their answer behind what is being sent
		const size, n = 8 << 10, 100
		sent := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range n {
				if _, err := conn.Write(append([]byte{0x82, 0xfe, size >> 8, size & 0xff, 0, 0, 0, 0}, make([]byte, size)...)); err != nil {
					return
				}
				sent++
			}
		}()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Less(t, sent*size, 64<<10+2*size)
		require.Greater(t, sent, 1)
		require.EqualValues(t, 1, a.Stats().Conns, "that it can't be heard is not its fault")
		close(goOn)
		<-done
		synctest.Wait()
		require.Equal(t, size*n, got)
	})
}

// A message is activity of the client when it comes, not when it is read.
func TestMessagesThatNobodyReadsAreActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, &bridge.ConnOptions{IdleTimeout: time.Minute}))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/push").Listen()
		for range 30 {
			time.Sleep(50 * time.Second)
			ws.Say("still here")
		}
		last := time.Now()
		require.Equal(t, bridge.CodeIdle, ws.ClosedEventually())
		require.InDelta(t, time.Minute, time.Since(last), float64(time.Second))
	})
}

func TestReadWhoseContextEndsClosesAConnectionOnWhichTheBridgeReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		failed := make(chan error, 1)
		a.Mux.Handle("/late", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			time.Sleep(5 * time.Second) // the Bridge reads by now
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, _, err := c.Read(short)
			failed <- err
			<-ctx.Done()
			return nil
		}, nil))
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		for name, begin := range map[string][]byte{"nothing": nil, "half a message": {0x82, 0xfe, 1, 0, 0, 0, 0, 0}} {
			start := time.Now()
			conn := webclient.Handshake(t, a.ServeInMemory(t), "/late")
			_, err := conn.Write(begin)
			require.NoError(t, err)
			require.ErrorIs(t, <-failed, context.DeadlineExceeded, name)
			require.Equal(t, 6*time.Second, time.Since(start), name)
			require.Equal(t, -1, ended.Next().Code, name)
		}
	})
}

func TestCloseReadRefusesMessages(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "with a message that waits": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				read := make(chan error, 1)
				a.Mux.Handle("/closed", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					time.Sleep(wait)
					ended := c.CloseRead()
					require.Equal(t, c.CloseRead(), ended, "it may be called again")
					<-ended.Done()
					_, _, err := c.Read(context.WithoutCancel(ctx))
					read <- err
					return nil
				}, nil))
				ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/closed").Listen()
				ws.Say("hello")
				require.Equal(t, bridge.CodePolicy, ws.ClosedEventually())
				require.ErrorContains(t, <-read, "CloseRead")
			})
		})
	}
}

// TestG11_NothingPerSocket_AReaderOnlyWhereTheHandlerDoesNotRead: one that was busy for a while has
// no second goroutine once it reads again.
func TestG11_NothingPerSocket_AReaderOnlyWhereTheHandlerDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/slow", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			time.Sleep(10 * time.Second)
			return testkit.Converse(ctx, c)
		}, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		const tabs = 20
		for range tabs {
			br.Dial("/slow").Listen()
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, 2*tabs, connGoroutines(), "the handler, and who reads in its place")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, tabs, connGoroutines())
	})
}

// connGoroutines counts the goroutines that the Bridge has started for connections.
func connGoroutines() (n int) {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "created by github.com/sessionbridge/sessionbridge/internal/workers.") {
			n++
		}
	}
	return n
}

// Whoever reads through Underlying gets what there is to read.
func TestBridgeReadsNothingAwayFromUnderlying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		got := make(chan string, 10)
		a.Mux.Handle("/below", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			ws := c.Underlying()
			for {
				time.Sleep(10 * time.Second)
				_, data, err := ws.Read(ctx)
				if err != nil {
					return err
				}
				got <- string(data)
			}
		}, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/below").Listen()
		for i := range cap(got) {
			ws.Say(fmt.Sprint(i))
			require.Equal(t, fmt.Sprint(i), <-got)
		}
	})
}

// A machine that vanishes sends no FIN; here the line between it and the server does.
func TestS13_PeerBehindADeadLineIsNoticed(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/push", a.WebSocket(testkit.PushOnly, &bridge.ConnOptions{Heartbeat: time.Second}))
	ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
	s := a.Serve(t)
	wire := newCable(t, s)
	br := webclient.NewBrowser(t, &webclient.Site{URL: s.URL, Dial: wire.dial})
	require.Equal(t, "open", br.Dial("/push").Listen().Hear())
	wire.die()
	require.Equal(t, -1, ended.Next().Code)
	require.Zero(t, a.Stats().Conns)
}

// cable is a network between a client and a server that can die: both ends stay open, and nothing
// passes any more.
type cable struct {
	site *webclient.Site
	dead chan struct{}
	t    *testing.T
}

func newCable(t *testing.T, s *webclient.Site) *cable { return &cable{s, make(chan struct{}), t} }

func (l *cable) die() { close(l.dead) }

func (l *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	far, err := l.site.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	here, near := net.Pipe()
	l.t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	pass := func(to, from net.Conn) { // ends with the test
		for p := make([]byte, 4096); ; {
			n, err := from.Read(p)
			if err != nil {
				return
			}
			select {
			case <-l.dead:
			default:
				if _, err := to.Write(p[:n]); err != nil {
					return
				}
			}
		}
	}
	go pass(far, near)
	go pass(near, far)
	return here, nil
}
