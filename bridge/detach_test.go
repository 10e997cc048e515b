package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// diary notes what an application's functions are called with, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// A handler that watches its link's context learns of the end before anybody else: what its client
// is told must not get lost over that.
func TestDetachLetsTheCloseFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte { return []byte("bye") }})
		var d diary
		link, id := testkit.Attach(t, a, func(code int, reason string) {
			time.Sleep(100 * time.Millisecond)
			d.note("%d %s", code, reason)
		})
		link.OnNotify(0, bridge.CloseSlow, func(_ websocket.MessageType, data []byte) error {
			time.Sleep(100 * time.Millisecond)
			d.note("%s", data)
			return nil
		})
		a.MustNotify(t, bridge.To{SessionID: id}, "one", 1)
		a.MustNotify(t, bridge.To{SessionID: id}, "two", 1)
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		<-link.Context().Done()
		link.Detach()
		require.Equal(t, []string{"one", "two", "bye", "4500 destroyed"}, d.read())
	})
}

// What the application's functions write to is gone after Detach: a ResponseWriter panics then.
func TestNothingIsCalledAfterDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		var d diary
		link, id := testkit.Attach(t, a, func(code int, _ string) { d.note("%d", code) })
		link.OnNotify(0, bridge.CloseSlow, func(_ websocket.MessageType, data []byte) error {
			time.Sleep(5 * time.Second)
			d.note("%s", data)
			return nil
		})
		a.MustNotify(t, bridge.To{SessionID: id}, "hangs", 1)
		a.MustNotify(t, bridge.To{SessionID: id}, "waits", 1)
		synctest.Wait()
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		link.Detach()
		require.Equal(t, []string{"4500", "hangs"}, d.read(), "the close waits a second for a message, Detach for as long as it is being sent")
		time.Sleep(time.Minute)
		require.Len(t, d.read(), 2)
		link.Detach() // once more does nothing, at once
	})
}

func TestDetachTwiceOrWithoutAnEndIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		var d diary
		link, id := testkit.Attach(t, a, func(code int, _ string) { d.note("%d", code) })
		start := time.Now()
		link.Detach()
		link.Detach()
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, d.read())
		require.Zero(t, time.Since(start))
		require.Error(t, link.Context().Err())
	})
}

// A close function that waits for the handler, which waits in Detach, or one that calls Detach
// itself, costs time but hangs nobody.
func TestDetachWaitsForAHangingCloseOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		gone := make(chan struct{})
		link, id := testkit.Attach(t, a, func(int, string) { <-gone })
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		start := time.Now()
		link.Detach()
		require.Equal(t, 2*time.Second, time.Since(start))
		close(gone)

		var other *bridge.Link
		done := make(chan struct{})
		other, id = testkit.Attach(t, a, func(int, string) { other.Detach(); close(done) })
		_, err = a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		<-done
	})
}

// A handler that logs its session out and returns has the close done that was to wait for its
// answer.
func TestDetachAfterItsOwnLogoutCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		var d diary
		link, _ := testkit.Attach(t, a, func(code int, reason string) { d.note("%d %s", code, reason) })
		require.NoError(t, link.WithSession(t.Context(), func(_ context.Context, s *bridge.Session) error { s.Logout(); return nil }, nil))
		start := time.Now()
		link.Detach()
		require.Equal(t, []string{"4500 logout"}, d.read())
		require.Zero(t, time.Since(start))
		require.Equal(t, bridge.CodeDestroyed, ended.Next().Code)
	})
}

func TestLinksSendThatFailsPanicsOrEndsItsGoroutineHurtsOnlyItself(t *testing.T) {
	for name, fail := range map[string]func() error{
		"fails":              func() error { return errors.New("connection lost") },
		"panics":             func() error { panic("no connection") },
		"ends its goroutine": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
				var d diary
				link, id := testkit.Attach(t, a, func(code int, _ string) { d.note("%d", code) })
				calls := 0
				link.OnNotify(0, bridge.CloseSlow, func(websocket.MessageType, []byte) error { calls++; return fail() })
				other, otherID := testkit.Attach(t, a, func(int, string) {})
				other.OnNotify(0, bridge.CloseSlow, func(_ websocket.MessageType, data []byte) error { d.note("%s", data); return nil })
				a.MustNotify(t, bridge.To{SessionID: id}, "one", 1)
				synctest.Wait()
				a.MustNotify(t, bridge.To{SessionID: id}, "two", 0) // it takes no more
				a.MustNotify(t, bridge.To{SessionID: otherID}, "for the other", 1)
				synctest.Wait()
				require.Equal(t, []string{"1011", "for the other"}, d.read(), "its link is over: the client can't be reached")
				require.Error(t, link.Context().Err())
				require.NoError(t, other.Context().Err())
				link.Detach()
				require.Equal(t, -1, ended.Next().Code)
				other.Detach()
				require.Len(t, d.read(), 2)
				require.Equal(t, 1, calls)
			})
		})
	}
}

// Notifications, closes and Detach at once: nothing is called after Detach, a close once at most,
// and nobody hangs.
func TestDetachRacesNotifyAndClose(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for i := range 200 {
		var detached, late atomic.Bool
		var closes, sent atomic.Int64
		called := func() { late.CompareAndSwap(false, detached.Load()) }
		link, id := testkit.Attach(t, a, func(int, string) { called(); closes.Add(1) })
		link.OnNotify(0, bridge.DropOldest, func(websocket.MessageType, []byte) error { called(); sent.Add(1); return nil })
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 20 {
					if _, err := a.Notify(t.Context(), bridge.To{SessionID: id}, []byte("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if i%2 == 0 {
			wg.Go(func() { _, _ = a.CloseConn(t.Context(), link.ID(), 4100, "") })
		} else {
			wg.Go(func() { _, _ = a.DestroyByID(t.Context(), id) })
		}
		wg.Go(func() {
			link.Detach()
			detached.Store(true)
		})
		wg.Wait()
		require.False(t, late.Load(), "called after Detach")
		require.LessOrEqual(t, closes.Load(), int64(1))
		require.LessOrEqual(t, sent.Load(), int64(40))
	}
}

// What goes over a connection of another library is counted by whoever reads and writes it.
func TestLinksCountTheirTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		link, id := testkit.Attach(t, a, func(int, string) {})
		link.OnNotify(0, bridge.CloseSlow, func(_ websocket.MessageType, data []byte) error {
			if string(data) == "lost" {
				return errors.New("connection lost")
			}
			return nil
		})
		time.Sleep(time.Hour)
		link.Received(3)
		link.Received(0)
		link.Sent(10)
		a.MustNotify(t, bridge.To{SessionID: id}, "hello", 1) // counted by itself
		synctest.Wait()
		a.MustNotify(t, bridge.To{SessionID: id}, "lost", 1)
		synctest.Wait()
		c := testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: id})[0]
		require.Equal(t, bridge.Traffic{Messages: 2, Bytes: 3}, c.Received)
		require.Equal(t, bridge.Traffic{Messages: 2, Bytes: 15}, c.Sent)
		require.WithinDuration(t, time.Now(), c.ActiveAt, 0, "what comes from the client is activity")
		time.Sleep(time.Minute)
		link.Sent(1)
		require.WithinDuration(t, time.Now().Add(-time.Minute), testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: id})[0].ActiveAt, 0, "what goes to it is none")
		link.Detach()
		e := ended.Next()
		require.Equal(t, c.Received, e.Received)
		require.Equal(t, bridge.Traffic{Messages: 3, Bytes: 16}, e.Sent)
	})
}

// A handler of another library may take a while to notice, or forget to detach: its end is reported
// all the same.
func TestShutdownReportsLinksThatAreNotDetachedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		var d diary
		a.OnConnClose(func(e bridge.ConnClose) { d.note("%s %d", e.SessionID, e.Code) })
		link, id := testkit.Attach(t, a, func(int, string) {})
		require.NoError(t, a.Shutdown(t.Context())) // which waits for callbacks
		require.Equal(t, []string{id + " 1012"}, d.read())
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
		link.Detach()
		synctest.Wait()
		require.Len(t, d.read(), 1)
	})
}
