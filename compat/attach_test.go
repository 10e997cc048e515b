package compat_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
)

func TestAttachedShareTheSession(t *testing.T) {
	eachAttachment(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		br := a.browser()
		require.Equal(t, "1", br.ok("/inc"))
		l := a.attach(br)
		require.Equal(t, "2", ask(t, l, "inc"))
		require.Equal(t, "3", br.ok("/inc"))
		require.Equal(t, "4", ask(t, l, "inc"))

		other := a.browser()
		other.ok("/inc")
		require.Equal(t, "2", ask(t, a.attach(other), "inc"), "another's is another")
		require.Equal(t, "5", ask(t, l, "inc"))
	})
}

func TestG1_AttachedLoseNoUpdate(t *testing.T) {
	const tabs, each = 3, 20
	eachAttachment(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		br := a.browser()
		br.ok("/inc")
		var wg sync.WaitGroup
		lines := make([]line, tabs)
		for i := range lines {
			lines[i] = a.attach(br)
		}
		for _, l := range lines {
			wg.Go(func() {
				for range each {
					l.say("inc")
					if _, err := l.hear(); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range each {
					if rep := br.do(http.MethodGet, "/inc", nil); rep.status != http.StatusOK {
						t.Error(rep)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, fmt.Sprint(1+2*tabs*each+1), br.ok("/inc"))
	})
}

func TestAttachedAreListedAndReported(t *testing.T) {
	eachAttachment(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		opened, closed := make(chan bridge.ConnOpen, 1), make(chan bridge.ConnClose, 1)
		a.OnConnOpen(func(e bridge.ConnOpen) { opened <- e })
		a.OnConnClose(func(e bridge.ConnClose) { closed <- e })
		br := a.browser()
		br.ok("/login")
		id := br.ok("/id")
		const silent = 20 * time.Second
		begun := time.Now()
		l := a.attach(br)
		e := <-opened
		time.Sleep(silent) // shorter than a heartbeat: the client reads when it is asked to
		require.Equal(t, "1", ask(t, l, "inc"))
		synctest.Wait()

		all := a.conns(bridge.ConnFilter{UserID: "ada"})
		require.Len(t, all, 1)
		c := all[0]
		require.Equal(t, bridge.ConnOpen{ConnID: c.ID, ClientID: c.ClientID, SessionID: id, UserID: "ada", Addr: "192.0.2.7", UserAgent: "Go-http-client/1.1"}, e)
		require.Equal(t, bridge.ConnInfo{
			ID: c.ID, SessionID: id, ClientID: c.ClientID, UserID: "ada", Addr: e.Addr, UserAgent: e.UserAgent,
			ConnectedAt: begun, ActiveAt: begun.Add(silent),
			Received: bridge.Traffic{Messages: 1, Bytes: 3}, Sent: bridge.Traffic{Messages: 1, Bytes: 1},
		}, bridge.ConnInfo{
			ID: c.ID, SessionID: c.SessionID, ClientID: c.ClientID, UserID: c.UserID, Addr: c.Addr, UserAgent: c.UserAgent,
			ConnectedAt: c.ConnectedAt, ActiveAt: c.ActiveAt.Local(), Received: c.Received, Sent: c.Sent,
		})

		n, err := a.Notify(t.Context(), bridge.To{UserID: "ada"}, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "hello", hear(t, l))
		synctest.Wait()
		l.leave()
		over := <-closed
		require.Equal(t, bridge.ConnClose{
			ConnID: c.ID, ClientID: c.ClientID, SessionID: id, UserID: "ada", Code: -1, Open: over.Open,
			Received: bridge.Traffic{Messages: 1, Bytes: 3}, Sent: bridge.Traffic{Messages: 2, Bytes: 6},
		}, over, "the client has left")
		require.Equal(t, silent, over.Open)
		require.Empty(t, a.conns(bridge.ConnFilter{}))
		n, err = a.Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestAttachedAreNotifiedInOrder(t *testing.T) {
	eachAttachment(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		br := a.browser()
		br.ok("/inc")
		lines := []line{a.attach(br), a.attach(br)}
		for i := range 50 {
			n, err := a.Notify(t.Context(), bridge.To{SessionID: br.ok("/id")}, fmt.Appendf(nil, "%d\n…", i))
			require.NoError(t, err)
			require.Equal(t, len(lines), n)
		}
		for _, l := range lines {
			for i := range 50 {
				require.Equal(t, fmt.Sprint(i), strings.TrimSuffix(strings.TrimSuffix(hear(t, l), "…"), "\n"))
			}
		}
	})
}

// However a session ends, what its client has been sent arrives first, then why, then the end of the handler.
func TestG4_AttachedAreToldWhyTheyEnd(t *testing.T) {
	const idle = 10 * time.Second
	for name, c := range map[string]struct {
		do     func(t *testing.T, a *attachSite, br *browser, l line)
		code   int
		reason string
		within time.Duration
		last   bool // LastMessage is asked
	}{
		"DestroyByID": {func(t *testing.T, a *attachSite, br *browser, _ line) {
			_, err := a.DestroyByID(t.Context(), br.ok("/id"))
			require.NoError(t, err)
		}, bridge.CodeDestroyed, "destroyed", 0, true},
		"logout over HTTP": {func(_ *testing.T, _ *attachSite, br *browser, _ line) {
			br.ok("/logout")
		}, bridge.CodeDestroyed, "logout", 0, true},
		"logout over itself": {func(t *testing.T, _ *attachSite, _ *browser, l line) {
			require.Equal(t, "0", ask(t, l, "logout"))
		}, bridge.CodeDestroyed, "logout", time.Second, true},
		"login": {func(_ *testing.T, _ *attachSite, br *browser, _ line) {
			br.ok("/login")
		}, bridge.CodeReconnect, "session changed: reconnect", time.Second, false},
		"expiry": {func(*testing.T, *attachSite, *browser, line) {
		}, bridge.CodeExpired, "expired", idle + idle/10 + time.Second, true},
		"CloseConn": {func(t *testing.T, a *attachSite, _ *browser, _ line) {
			closed, err := a.CloseConn(t.Context(), a.conns(bridge.ConnFilter{})[0].ID, 4100, "enough")
			require.NoError(t, err)
			require.True(t, closed)
		}, 4100, "enough", 0, false},
		"Shutdown": {func(t *testing.T, a *attachSite, _ *browser, _ line) {
			// The bridge's own Shutdown at the test's end returns what this one does, so the end mustn't cancel it.
			go func() { _ = a.Shutdown(context.WithoutCancel(t.Context())) }()
		}, bridge.CodeShutdown, `shutting down; retry after \d+ ms`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			opts := bridge.Options{IdleTimeout: idle, LastMessage: func(e bridge.SessionDestroy) []byte { return []byte("bye: " + e.Reason) }}
			eachAttachment(t, opts, func(t *testing.T, a *attachSite) {
				closed := make(chan bridge.ConnClose, 1)
				a.OnConnClose(func(e bridge.ConnClose) { closed <- e })
				br := a.browser()
				br.ok("/inc")
				l := a.attach(br)
				_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("before"))
				require.NoError(t, err)
				require.Equal(t, "before", hear(t, l))
				start := time.Now()
				c.do(t, a, br, l)
				if c.last {
					require.Equal(t, "bye: "+c.reason, hear(t, l))
				}
				code, reason := l.end()
				require.Equal(t, c.code, code)
				require.Regexp(t, "^"+c.reason+"$", reason)
				require.LessOrEqual(t, time.Since(start), c.within)
				a.serving.Wait() // the handler has returned
				require.Empty(t, a.conns(bridge.ConnFilter{}))
				e := <-closed
				require.Equal(t, c.code, e.Code)
				require.Equal(t, reason, e.Reason)
			})
		})
	}
}

func TestS11_AttachedAreLimitedPerSession(t *testing.T) {
	eachAttachment(t, bridge.Options{MaxConnsPerSession: 1}, func(t *testing.T, a *attachSite) {
		br := a.browser()
		br.ok("/inc")
		first := a.attach(br)
		second, status := a.kind.open(br)
		if second == nil {
			require.Equal(t, http.StatusTooManyRequests, status, "nothing had been sent yet")
		} else {
			code, _ := second.end()
			require.Equal(t, bridge.CodePolicy, code)
			second.leave()
		}
		require.Equal(t, "2", ask(t, first, "inc"))
		first.leave()
		synctest.Wait()
		require.Equal(t, "3", ask(t, a.attach(br), "inc"))
	})
}

// A client that takes nothing holds up neither a shutdown nor anybody else, and its handler ends.
func TestG12_AttachedThatTakeNothingEndInTime(t *testing.T) {
	eachAttachmentLive(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		stuck, healthy := a.browser(), a.browser()
		stuck.ok("/inc")
		healthy.ok("/inc")
		a.open(stuck)
		l := a.open(healthy)
		heard := make(chan int, 100)
		go func() {
			defer close(heard)
			for {
				text, err := l.hear()
				if err != nil {
					return // the close, which has been answered
				}
				heard <- len(text)
			}
		}()
		require.Eventually(t, func() bool { // the connection holds nothing: the first hangs
			n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte(strings.Repeat("x", 16<<10)))
			return err == nil && n == 2
		}, patience, time.Millisecond)
		require.Equal(t, 16<<10, wait(t, heard))

		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		clock := testclock.Start(t, nil)
		require.NoError(t, a.Shutdown(ctx))
		a.serving.Wait()
		require.Less(t, clock.Elapsed(), writeTimeout, "not even for as long as a write may take")
		require.Empty(t, a.conns(bridge.ConnFilter{}))
	})
}

// A connection that is not read holds its messages back, up to the limit that OnNotify was given.
func TestS13_AttachedThatTakeNothingAreClosedAsTooSlow(t *testing.T) {
	eachAttachmentLive(t, bridge.Options{}, func(t *testing.T, a *attachSite) {
		closed := make(chan bridge.ConnClose, 1)
		a.OnConnClose(func(e bridge.ConnClose) { closed <- e })
		br := a.browser()
		br.ok("/inc")
		a.open(br)
		waiting := 0
		require.Eventually(t, func() bool {
			n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("x"))
			waiting += n
			return err == nil && a.Stats().NotifyDropped > 0
		}, patience, time.Microsecond)
		require.GreaterOrEqual(t, waiting, 256)
		require.LessOrEqual(t, waiting, 256+1, "one hangs")
		require.Equal(t, bridge.CodePolicy, wait(t, closed).Code)
		a.serving.Wait()
	})
}

// Behind a proxy that cuts what is silent for 75 s (docs/deploy.md) a connection on which nothing is said stays, and one whose client has vanished goes.
func TestAttachedHaveAHeartbeat(t *testing.T) {
	eachAttachment(t, bridge.Options{IdleTimeout: bridge.Off, Lifetime: bridge.Off}, func(t *testing.T, a *attachSite) {
		const cutAfter = 75 * time.Second
		a.network.between = func(c net.Conn) net.Conn { return &impatient{Conn: c, after: cutAfter} }
		quiet := a.browser()
		quiet.ok("/inc")
		l := a.attach(quiet)
		heard := make(chan string, 10)
		go func() { // as a browser reads, whatever comes
			defer close(heard)
			for {
				text, err := l.hear()
				if err != nil {
					return
				}
				heard <- text
			}
		}()
		gone := a.browser()
		gone.ok("/inc")
		a.attach(gone) // and takes nothing, and says nothing
		require.Len(t, a.conns(bridge.ConnFilter{}), 2)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Len(t, a.conns(bridge.ConnFilter{}), 1, "the one whose client has vanished is over")
		time.Sleep(24 * time.Hour)
		n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("good morning"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "good morning", <-heard)
	})
}

// impatient is a connection that a proxy cuts when the server has said nothing for so long.
type impatient struct {
	net.Conn
	after time.Duration

	mu     sync.Mutex // the server's Close comes from another goroutine than its writes
	timer  *time.Timer
	closed bool
}

func (c *impatient) Write(p []byte) (int, error) {
	c.restart()
	return c.Conn.Write(p)
}

func (c *impatient) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.closed {
		c.timer = time.AfterFunc(c.after, func() { _ = c.Conn.Close() })
	}
}

func (c *impatient) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}
