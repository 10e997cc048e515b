package security_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
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

// auditedSite is a site whose clients choose their addresses, with an audit log.
type auditedSite struct {
	*testkit.App
	site  *webclient.Site
	audit bytes.Buffer
}

func newAuditedSite(t *testing.T, opts bridge.Options) *auditedSite {
	l := &auditedSite{}
	opts.Audit = slog.New(slog.NewJSONHandler(&l.audit, nil))
	opts.TrustedProxies = []string{"127.0.0.1"}
	l.App = testkit.NewApp(t, livestore.New(), &opts)
	h := l.Handler(l.Mux)
	l.site = webclient.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "127.0.0.1:1"
		h.ServeHTTP(w, r)
	}))
	return l
}

// browser returns a browser with a session.
func (l *auditedSite) browser(t *testing.T) *webclient.Browser {
	t.Helper()
	br := webclient.NewBrowser(t, l.site)
	br.OK("/inc")
	return br
}

// requireLine checks that the audit log has a line about the limit.
func (l *auditedSite) requireLine(t *testing.T, limit, value string, attrs line) {
	t.Helper()
	synctest.Wait()
	attrs["limit"], attrs["value"], attrs["level"] = limit, value, "WARN"
	require.NotEmpty(t, linesOf(t, l.audit.Bytes(), "limit exceeded", attrs), "%s in:\n%s", limit, l.audit.String())
}

// dialFrom opens a socket from the address. It returns 101, or the status of the refusal and when to
// come back.
func dialFrom(t *testing.T, br *webclient.Browser, path, addr string) (s *webclient.Socket, status, retryAfter int) {
	t.Helper()
	s, res, err := br.TryDial(path, http.Header{"X-Forwarded-For": {addr}})
	if err != nil {
		require.NotNil(t, res, "%v", err)
		if after := res.Header.Get("Retry-After"); after != "" {
			retryAfter, err = strconv.Atoi(after)
			require.NoError(t, err)
		}
	}
	return s, res.StatusCode, retryAfter
}

func TestS11_HandshakesPerAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{HandshakesPerAddr: bridge.Rate{PerSecond: 0.1, Burst: 3}})
		try := func(addr string) int {
			_, status, _ := dialFrom(t, webclient.NewBrowser(t, l.site), "/ws", addr)
			return status
		}
		for range 3 {
			require.Equal(t, http.StatusSwitchingProtocols, try("192.0.2.7"))
		}
		_, status, after := dialFrom(t, l.browser(t), "/ws", "192.0.2.7")
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, 10, after)
		require.EqualValues(t, 1, l.Stats().RateLimited)
		l.requireLine(t, "Options.HandshakesPerAddr", "0.1 a second, 3 at once", line{"addr": "192.0.2.7", "via": "http"})

		require.Equal(t, http.StatusSwitchingProtocols, try("192.0.2.8"), "another address")
		time.Sleep(time.Duration(after) * time.Second)
		require.Equal(t, http.StatusSwitchingProtocols, try("192.0.2.7"), "when it has come back")
		require.Equal(t, http.StatusTooManyRequests, try("192.0.2.7"))

		for i := range 3 { // one subscriber has 2^64 of them
			require.Equal(t, http.StatusSwitchingProtocols, try(fmt.Sprintf("2001:db8:1:2::%x", i)))
		}
		require.Equal(t, http.StatusTooManyRequests, try("2001:db8:1:2:ffff::9"))
		require.Equal(t, http.StatusSwitchingProtocols, try("2001:db8:1:3::1"))
		require.NotZero(t, l.browser(t).OK("/inc"), "pages are not limited")
	})
}

// A page of another site can't use up the handshakes of its visitors.
func TestS11_HandshakesOfForeignPagesDontCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{HandshakesPerAddr: bridge.Rate{PerSecond: 0.1, Burst: 1}})
		br := l.browser(t)
		for range 5 {
			_, res, err := br.TryDial("/ws", http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Origin": {"https://evil.example"}})
			require.Error(t, err)
			require.Equal(t, http.StatusForbidden, res.StatusCode)
		}
		_, status, _ := dialFrom(t, br, "/ws", "192.0.2.7")
		require.Equal(t, http.StatusSwitchingProtocols, status)
	})
}

func TestS11_HandshakesPerSessionAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{HandshakesPerSession: bridge.Rate{PerSecond: 0.1, Burst: 2}})
		br := l.browser(t)
		for i := range 2 {
			_, status, _ := dialFrom(t, br, "/ws", fmt.Sprintf("192.0.2.%d", i))
			require.Equal(t, http.StatusSwitchingProtocols, status)
		}
		_, status, after := dialFrom(t, br, "/ws", "192.0.2.3")
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, 10, after)
		l.requireLine(t, "Options.HandshakesPerSession", "0.1 a second, 2 at once",
			line{"session": l.LogHash(br.OK("/id")), "via": "http"})
		_, status, _ = dialFrom(t, l.browser(t), "/ws", "192.0.2.3")
		require.Equal(t, http.StatusSwitchingProtocols, status, "another session")
		for range 5 {
			_, status, _ = dialFrom(t, webclient.NewBrowser(t, l.site), "/ws", "192.0.2.3")
			require.Equal(t, http.StatusSwitchingProtocols, status, "without a session")
		}
	})
}

// Connections of other libraries, and streams, are handshakes, too.
func TestS11_AttachIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{HandshakesPerAddr: bridge.Rate{PerSecond: 1}})
		l.Page("/attach", func(r *http.Request) (any, error) {
			link, err := l.Attach(r, func(int, string) {})
			if err == nil {
				link.Detach()
			}
			return "attached", err
		})
		br := l.browser(t)
		require.Equal(t, http.StatusOK, br.Get("/attach", "X-Forwarded-For", "192.0.2.7").Status)
		refused := br.Get("/attach", "X-Forwarded-For", "192.0.2.7")
		require.Equal(t, http.StatusTooManyRequests, refused.Status)
		require.Equal(t, "bridge: rate limit exceeded: Options.HandshakesPerAddr allows 1 a second, 1 at once\n", refused.Body)
		require.Equal(t, http.StatusOK, br.Get("/attach", "X-Forwarded-For", "192.0.2.8").Status)
	})
}

// The sockets of a session share its limit, and a new one begins with what is left of it.
func TestS13_MessagesPerSessionAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{MessagesPerSession: bridge.Rate{PerSecond: 1, Burst: 4}})
		br, other := l.browser(t), l.browser(t)
		one, two, theirs := br.Dial("/ws"), br.Dial("/ws"), other.Dial("/ws")
		for range 2 {
			one.Ask("get")
			two.Ask("get")
		}
		two.Say("inc")
		require.Equal(t, websocket.CloseError{Code: 1008, Reason: "too many messages"}, closedWith(t, two))
		require.Equal(t, "1", br.OK("/get"), "the message wasn't handed to the application")
		require.EqualValues(t, 1, l.Stats().TooFast)
		l.requireLine(t, "Options.MessagesPerSession", "1 a second, 4 at once",
			line{"session": l.LogHash(br.OK("/id")), "via": "socket"})
		again := br.Dial("/ws").Listen()
		code := again.WhenClosed()
		again.Say("get")
		require.Equal(t, bridge.CodePolicy, <-code)
		for range 4 {
			theirs.Ask("get")
		}
		time.Sleep(time.Second)
		one.Ask("get")
	})
}

func TestS13_MessagesPerAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{MessagesPerAddr: bridge.Rate{PerSecond: 1, Burst: 4}})
		open := func(addr string) *webclient.Socket {
			s, _, err := webclient.NewBrowser(t, l.site).TryDial("/ws", http.Header{"X-Forwarded-For": {addr}})
			require.NoError(t, err)
			return s
		}
		one, two, elsewhere := open("2001:db8::1"), open("2001:db8::2"), open("2001:db8:0:1::1")
		for range 2 { // without a session
			one.Ask("id")
			two.Ask("id")
		}
		two.Say("id")
		require.Equal(t, websocket.CloseError{Code: 1008, Reason: "too many messages"}, closedWith(t, two))
		l.requireLine(t, "Options.MessagesPerAddr", "1 a second, 4 at once", line{"addr": "2001:db8::2", "via": "socket"})
		for range 4 {
			elsewhere.Ask("id")
		}
		time.Sleep(time.Second)
		one.Ask("id")
	})
}

// Messages that another library has read count when Link.Received is called.
func TestS13_MessagesOfLinksAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{MessagesPerSession: bridge.Rate{PerSecond: 1, Burst: 2}})
		closed := make(chan string, 1)
		link, _ := testkit.Attach(t, l.App, func(code int, reason string) { closed <- fmt.Sprint(code, " ", reason) })
		for range 2 {
			link.Received(1)
		}
		require.NoError(t, link.Context().Err())
		link.Received(1)
		require.Equal(t, "1008 too many messages", <-closed)
		link.Detach()
	})
}

// closedWith waits for the end of the socket.
func closedWith(t *testing.T, s *webclient.Socket) (closed websocket.CloseError) {
	t.Helper()
	_, _, err := s.Conn.Read(t.Context())
	require.ErrorAs(t, err, &closed)
	return closed
}

// A program that drops all cookies would begin a session with each request.
func TestS11_NewSessionsPerAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{NewSessionsPerAddr: bridge.Rate{PerSecond: 0.1, Burst: 3}})
		l.SessionPage("/tab", func(s *bridge.Session) (any, error) { s.Set("tab", 1); return "set", nil })
		get := func(path, addr string) webclient.Reply {
			return webclient.NewBrowser(t, l.site).Get(path, "X-Forwarded-For", addr)
		}
		old := l.browser(t) // of the address 127.0.0.1
		for range 3 {
			require.Equal(t, http.StatusOK, get("/tab", "192.0.2.7").Status)
		}
		refused := get("/tab", "192.0.2.7")
		require.Equal(t, http.StatusTooManyRequests, refused.Status)
		require.Equal(t, "10", refused.Header.Get("Retry-After"))
		require.Empty(t, refused.Header.Values("Set-Cookie"))
		require.Equal(t, "Too many requests. Try again later.\n", refused.Body)
		require.Equal(t, http.StatusTooManyRequests, get("/inc", "192.0.2.7").Status, "by WithSession")
		require.EqualValues(t, 2, l.Stats().RateLimited)
		l.requireLine(t, "Options.NewSessionsPerAddr", "0.1 a second, 3 at once", line{"addr": "192.0.2.7", "via": "http"})

		require.Equal(t, http.StatusOK, get("/login?user=ada", "192.0.2.7").Status, "a login is never refused")
		require.Equal(t, http.StatusOK, get("/get", "192.0.2.7").Status, "nothing is stored")
		require.Equal(t, http.StatusOK, old.Get("/inc", "X-Forwarded-For", "192.0.2.7").Status, "it has a session")
		require.Equal(t, http.StatusOK, get("/tab", "192.0.2.8").Status, "another address")
		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusOK, get("/tab", "192.0.2.7").Status)
		require.Len(t, testkit.Listed(t, l.Bridge, bridge.Filter{}), 1+3+1+1+1)
	})
}

// People behind one address who do nothing unusual notice no limit.
func TestS13_DefaultsLimitNobodyBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{})
		for range 200 {
			br := l.browser(t)
			ws := br.Dial("/ws")
			for range 20 {
				ws.Ask("inc")
			}
		}
		synctest.Wait()
		stats := l.Stats()
		require.Zero(t, stats.RateLimited+stats.TooManyConns+stats.TooFast+stats.TooSlow+stats.TooLarge+stats.Overloaded)
		require.Empty(t, linesOf(t, l.audit.Bytes(), "limit exceeded", nil))
	})
}

func TestS13_AClientThatSaysNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{})
		l.Mux.Handle("/first", l.WebSocket(testkit.Converse, &bridge.ConnOptions{
			FirstMessageTimeout: 10 * time.Second, Heartbeat: bridge.Off, // the client reads at times only
		}))
		br := l.browser(t)
		began := time.Now()
		silent, speaks := br.Dial("/first"), br.Dial("/first")
		time.Sleep(5 * time.Second)
		speaks.Ask("id")
		require.Equal(t, websocket.CloseError{Code: 1008, Reason: "no first message in time"}, closedWith(t, silent))
		require.InDelta(t, 10*time.Second, time.Since(began), float64(time.Second))
		require.EqualValues(t, 1, l.Stats().TooSlow)
		l.requireLine(t, "ConnOptions.FirstMessageTimeout", "10s", line{"session": l.LogHash(br.OK("/id"))})
		time.Sleep(time.Minute)
		speaks.Ask("id")
	})
}

// A client that begins a handshake and doesn't complete it holds no place among MaxHandshakes, and
// not its connection either, if the server has a ReadHeaderTimeout.
func TestS13_HandshakesThatAreNotCompletedHoldNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAuditedSite(t, bridge.Options{MaxHandshakes: 1})
		closed := make(chan error, 50)
		for range cap(closed) {
			conn, err := l.site.Dial(t.Context(), "", "")
			require.NoError(t, err)
			_, err = conn.Write([]byte("GET /ws HTTP/1.1\r\nHost: app.localhost\r\nUpgrade: web"))
			require.NoError(t, err)
			go func() {
				_, err := conn.Read(make([]byte, 1000))
				for err == nil { // perhaps the server says why
					_, err = conn.Read(make([]byte, 1000))
				}
				closed <- err
				_ = conn.Close()
			}()
		}
		l.browser(t).Dial("/ws").Ask("get")
		for range cap(closed) {
			require.Error(t, <-closed)
		}
		require.Zero(t, l.Stats().Overloaded)
	})
}

// Each limit that refuses something is counted, and named with its value in the audit log.
func TestS13_EveryLimitIsNamedAndCounted(t *testing.T) {
	echo := func(l *auditedSite, opts *bridge.ConnOptions) {
		l.Mux.Handle("/limited", l.WebSocket(testkit.Converse, opts))
	}
	for limit, test := range map[string]struct {
		value   string
		opts    bridge.Options
		provoke func(t *testing.T, l *auditedSite)
		count   func(bridge.Stats) uint64
	}{
		"Options.MaxConnsPerSession": {
			"1",
			bridge.Options{MaxConnsPerSession: 1},
			func(t *testing.T, l *auditedSite) {
				br := l.browser(t)
				br.Dial("/ws").Ask("id")
				require.Equal(t, bridge.CodePolicy, br.Dial("/ws").ClosedEventually())
			},
			func(s bridge.Stats) uint64 { return s.TooManyConns },
		},
		"Options.MaxConnsPerAddr": {
			"1",
			bridge.Options{MaxConnsPerAddr: 1},
			func(t *testing.T, l *auditedSite) {
				br := l.browser(t)
				br.Dial("/ws").Ask("id")
				_, status, after := dialFrom(t, br, "/ws", "127.0.0.1")
				require.Equal(t, http.StatusTooManyRequests, status)
				require.NotZero(t, after)
			},
			func(s bridge.Stats) uint64 { return s.TooManyConns },
		},
		"Options.HandshakesPerSecond": {
			"0.5",
			bridge.Options{HandshakesPerSecond: 0.5},
			func(t *testing.T, l *auditedSite) {
				br := l.browser(t)
				br.Dial("/ws").Ask("id")
				_, status, after := dialFrom(t, br, "/ws", "127.0.0.1")
				require.Equal(t, http.StatusServiceUnavailable, status)
				require.NotZero(t, after)
			},
			func(s bridge.Stats) uint64 { return s.Overloaded },
		},
		"Options.MaxHandshakes": {
			"1",
			bridge.Options{MaxHandshakes: 1},
			func(t *testing.T, l *auditedSite) {
				under, goOn := make(chan struct{}), make(chan struct{})
				l.Mux.Handle("/slow", l.WebSocket(testkit.Converse, &bridge.ConnOptions{ID: func(*http.Request) string {
					close(under)
					<-goOn
					return ""
				}}))
				br := l.browser(t)
				first := make(chan struct{})
				go func() {
					defer close(first)
					_, _, err := br.TryDial("/slow", nil)
					if err != nil {
						t.Error(err)
					}
				}()
				<-under
				_, status, after := dialFrom(t, br, "/ws", "127.0.0.1")
				require.Equal(t, http.StatusServiceUnavailable, status)
				require.NotZero(t, after)
				close(goOn)
				<-first
			},
			func(s bridge.Stats) uint64 { return s.Overloaded },
		},
		"ConnOptions.MessagesPerSecond": {
			"2",
			bridge.Options{},
			func(t *testing.T, l *auditedSite) {
				echo(l, &bridge.ConnOptions{MessagesPerSecond: 2})
				ws := l.browser(t).Dial("/limited").Listen()
				closed := ws.WhenClosed()
				for range 3 {
					ws.Say("get")
				}
				require.Equal(t, bridge.CodePolicy, <-closed)
			},
			func(s bridge.Stats) uint64 { return s.TooFast },
		},
		"ConnOptions.FramesPerSecond": {
			"1",
			bridge.Options{},
			func(t *testing.T, l *auditedSite) {
				echo(l, &bridge.ConnOptions{FramesPerSecond: 1})
				ws := l.browser(t).Dial("/limited").Listen()
				closed := ws.WhenClosed()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for range 6 {
					go func() { _ = ws.Conn.Ping(ctx) }()
				}
				require.Equal(t, bridge.CodePolicy, <-closed)
			},
			func(s bridge.Stats) uint64 { return s.TooFast },
		},
		"ConnOptions.MaxMessageBytes": {
			"10",
			bridge.Options{},
			func(t *testing.T, l *auditedSite) {
				echo(l, &bridge.ConnOptions{MaxMessageBytes: 10})
				ws := l.browser(t).Dial("/limited").Listen()
				closed := ws.WhenClosed()
				ws.Say("more than ten bytes")
				require.Equal(t, int(websocket.StatusMessageTooBig), <-closed)
			},
			func(s bridge.Stats) uint64 { return s.TooLarge },
		},
	} {
		t.Run(limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newAuditedSite(t, test.opts)
				test.provoke(t, l)
				l.requireLine(t, limit, test.value, line{})
				require.EqualValues(t, 1, test.count(l.Stats()))
			})
		})
	}
}
