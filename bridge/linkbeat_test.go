package bridge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestLinkHeartbeatComesAsOftenAsItShall(t *testing.T) {
	for name, c := range map[string]struct{ every, want time.Duration }{"default": {0, 30 * time.Second}, "own": {20 * time.Second, 20 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				link, _ := testkit.Attach(t, a, func(int, string) {})
				start, beats := time.Now(), 0
				link.Heartbeat(c.every, func(context.Context) error {
					beats++
					require.InDelta(t, time.Duration(beats)*c.want, time.Since(start), float64(beats)*float64(time.Second/4))
					return nil
				})
				time.Sleep(time.Hour)
				synctest.Wait()
				require.InDelta(t, time.Hour/c.want, beats, float64(time.Hour/c.want)/50)
				link.Heartbeat(time.Minute, nil)
				last := beats
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, last, beats)
				link.Detach()
			})
		})
	}
}

func TestLinkWhoseHeartbeatFailsIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		beat  func(ctx context.Context) error
		after time.Duration
	}{
		"fails":                            {func(context.Context) error { return errors.New("broken pipe") }, 0},
		"panics":                           {func(context.Context) error { panic("no connection") }, 0},
		"hangs":                            {func(ctx context.Context) error { <-ctx.Done(); return nil }, 10 * time.Second},
		"hangs, whatever its context says": {func(context.Context) error { time.Sleep(time.Minute); return nil }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
				codes := make(chan int, 10)
				link, _ := testkit.Attach(t, a, func(code int, _ string) { codes <- code })
				calls := 0
				link.Heartbeat(0, func(ctx context.Context) error { calls++; return c.beat(ctx) })
				start := time.Now()
				<-link.Context().Done()
				require.InDelta(t, 30*time.Second+c.after, time.Since(start), float64(time.Second/4))
				require.Equal(t, bridge.CodeFailed, <-codes, "the handler is told")
				link.Detach()
				require.Equal(t, -1, ended.Next().Code, "the client is gone")
				time.Sleep(time.Hour)
				require.Equal(t, 1, calls)
				require.Empty(t, codes)
			})
		})
	}
}

// What the function writes to is gone after Detach.
func TestLinkHeartbeatDoesNotOutliveDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		link, _ := testkit.Attach(t, a, func(int, string) {})
		var d diary
		link.Heartbeat(time.Second, func(context.Context) error {
			d.note("begins")
			time.Sleep(5 * time.Second)
			d.note("ends")
			return nil
		})
		time.Sleep(2 * time.Second)
		link.Detach()
		require.Equal(t, []string{"begins", "ends"}, d.read())
		time.Sleep(time.Minute)
		require.Len(t, d.read(), 2)
		link.Heartbeat(time.Second, func(context.Context) error { d.note("late"); return nil })
		time.Sleep(time.Minute)
		require.Len(t, d.read(), 2, "the link is over")
	})
}

// TestG11_NothingPerSocket_Links: heartbeats of links share the Bridge's clock.
func TestG11_NothingPerSocket_Links(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		first, _ := testkit.Attach(t, a, func(int, string) {})
		first.Heartbeat(0, func(context.Context) error { return nil })
		deadlines, goroutines := a.Deadlines(), connGoroutines()
		for range 50 {
			link, _ := testkit.Attach(t, a, func(int, string) {})
			link.Heartbeat(0, func(context.Context) error { return nil })
			defer link.Detach()
		}
		require.Equal(t, 100, a.Deadlines()-deadlines, "one for each session, and one for each heartbeat")
		require.Equal(t, goroutines, connGoroutines())
		first.Detach()
	})
}

// takesNothing are ways to write to a peer that takes nothing.
var takesNothing = map[string]func(a *testkit.App, ctx context.Context, c *bridge.Conn) error{
	"Write": func(_ *testkit.App, ctx context.Context, c *bridge.Conn) error {
		return c.Write(ctx, websocket.MessageText, []byte("x"))
	},
	"Write with a deadline": func(_ *testkit.App, ctx context.Context, c *bridge.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return c.WriteJSON(ctx, "x")
	},
	"Notify": func(a *testkit.App, ctx context.Context, c *bridge.Conn) error {
		_, err := a.Notify(ctx, bridge.To{ClientID: c.ClientID()}, []byte("x"))
		return errors.Join(err, errors.New("fails later"))
	},
	"Ping": func(_ *testkit.App, ctx context.Context, c *bridge.Conn) error { return c.Ping(ctx) },
	"the connection below is closed": func(_ *testkit.App, ctx context.Context, c *bridge.Conn) error {
		return errors.Join(c.Underlying().CloseNow(), errors.New("closed"))
	},
}

// A write that fails ends the connection, whoever writes, and although nobody reads.
func TestConnOnWhichAWriteFailsIsOver(t *testing.T) {
	for name, write := range takesNothing {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				causes := make(chan error, 1)
				a.Mux.Handle("/full", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					require.Error(t, write(a, ctx, c))
					<-ctx.Done()
					causes <- context.Cause(ctx)
					return nil
				}, &bridge.ConnOptions{Heartbeat: bridge.Off}))
				ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
				start := time.Now()
				webclient.Handshake(t, a.ServeInMemory(t), "/full") // and takes nothing more
				require.ErrorContains(t, <-causes, "connection closed")
				require.LessOrEqual(t, time.Since(start), 11*time.Second)
				require.Equal(t, -1, ended.Next().Code)
				require.Zero(t, a.Stats().Conns)
			})
		})
	}
}

// One that was given up before it began has done no harm.
func TestConnOutlivesAWriteThatDidNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/early", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			done, cancel := context.WithCancel(ctx)
			cancel()
			require.ErrorIs(t, c.Write(done, websocket.MessageText, []byte("never")), context.Canceled)
			go func() { _ = c.Write(ctx, websocket.MessageText, []byte("first")) }()
			time.Sleep(time.Second) // it is being written: nobody takes it yet
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			require.Error(t, c.Write(short, websocket.MessageText, []byte("never")), "it waits for its turn")
			require.NoError(t, ctx.Err())
			return c.Write(ctx, websocket.MessageText, []byte("second"))
		}, nil))
		ws := webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/early")
		time.Sleep(5 * time.Second)
		require.Equal(t, "first", ws.Hear())
		require.Equal(t, "second", ws.Hear())
		require.Equal(t, 1000, ws.Closed())
	})
}
