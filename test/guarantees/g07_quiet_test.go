package guarantees_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// exceptPolls takes the message "left" for no activity.
func exceptPolls(m bridge.Message) bool { return string(m.Data) != "left" }

// timeLeft answers with the time until the idle timeout. Every message but "left" changes the
// session, too.
func timeLeft(_ context.Context, _ *bridge.Conn, m bridge.Message, s *bridge.Session) error {
	if exceptPolls(m) {
		testkit.Count.Set(s, int(time.Now().Unix()))
	}
	return m.ReplyJSON(time.Until(s.IdleDeadline()).String())
}

// openQuietly opens a socket in memory whose messages timeLeft answers.
func openQuietly(t *testing.T, a *testkit.App, opts *bridge.ConnOptions) (*webclient.Browser, *webclient.Socket) {
	t.Helper()
	a.Mux.Handle("/messages", a.Messages(timeLeft, opts))
	br := webclient.NewBrowser(t, a.ServeInMemory(t))
	br.OK("/inc")
	return br, br.Dial("/messages").Listen()
}

// A page that polls the time left through Messages doesn't keep its session alive.
func TestG7_ExpiryIsOnTime_QuietMessagesAreNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Expiring(0))
		opts := &bridge.ConnOptions{CountsAsActivity: exceptPolls, Heartbeat: bridge.Off}
		br, ws := openQuietly(t, a, opts)
		id, began := br.OK("/id"), time.Now()
		writes := func() int { return st.Count("Set") + st.Count("Touch") }
		before := writes()
		for time.Since(began) < testkit.Idle {
			time.Sleep(time.Minute)
			left := (testkit.Idle - time.Since(began)).String()
			require.Equal(t, `"`+left+`"`, ws.Ask("left"))
		}
		require.Equal(t, before, writes())
		conns := testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: id})
		require.Len(t, conns, 1)
		require.Equal(t, began, conns[0].ActiveAt)
		require.EqualValues(t, 10, conns[0].Received.Messages, "they are counted")
		require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
		require.InDelta(t, testkit.Idle+testkit.Touch, time.Since(began), float64(time.Second))
	})
}

// A function of Messages that changes the session, and WithSession in a handler, are activity, also
// for such a message.
func TestG7_ExpiryIsOnTime_ChangesForQuietMessagesAreActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		opts := &bridge.ConnOptions{
			CountsAsActivity: func(bridge.Message) bool { return false }, Heartbeat: bridge.Off,
		}
		br, changing := openQuietly(t, a, opts)
		id := br.OK("/id")
		a.Mux.Handle("/conversation", a.WebSocket(testkit.Converse, opts))
		reading := br.Dial("/conversation").Listen()
		for name, say := range map[string]func(){
			"a change":    func() { changing.Ask("change") },
			"WithSession": func() { reading.Ask("get") },
		} {
			for range 3 {
				time.Sleep(testkit.Idle - time.Second)
				say()
				require.Equal(t, time.Now().UTC(), testkit.Snapshot(t, a, id).IdleDeadline().Add(-testkit.Idle), name)
			}
		}
		conns := testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: id})
		require.Len(t, conns, 2)
		for _, c := range conns {
			require.Equal(t, c.ConnectedAt, c.ActiveAt)
		}
	})
}

// A panic of CountsAsActivity is that of a handler: it ends the connection with 1011 and is
// reported, whether the handler reads or the Bridge does.
func TestG12_PanicOfCountsAsActivityEndsOnlyItsConnection(t *testing.T) {
	for name, reads := range map[string]bool{"handler reads": true, "handler is busy": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				failures := testkit.Record[bridge.Failure](t, a.Bridge)
				a.Mux.Handle("/panics", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					if !reads {
						<-ctx.Done()
					}
					_, _, err := c.Read(ctx)
					return err
				}, &bridge.ConnOptions{
					CountsAsActivity: func(bridge.Message) bool { panic("in the application") }, Heartbeat: bridge.Off,
				}))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				other, ws := br.Dial("/ws"), br.Dial("/panics")
				ws.Say("hello")
				require.Equal(t, bridge.CodeFailed, ws.ClosedEventually())
				require.ErrorIs(t, failures.Next().Err, bridge.ErrPanicked)
				require.Equal(t, "2", other.Ask("inc"))
			})
		})
	}
}
