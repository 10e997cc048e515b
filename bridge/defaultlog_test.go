package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// captureDefault makes slog's default logger write to the buffer it returns, from Info on as it
// does by default, until the test ends.
func captureDefault(t *testing.T) *lockedBuffer {
	t.Helper()
	before, log := slog.Default(), &lockedBuffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

// failures of an application that has no logger of its own.
var silentFailures = map[string]struct {
	level, says string
	cause       func(t *testing.T, a *testkit.App)
}{
	"a socket handler panics": {"ERROR", "connection handler panicked", func(t *testing.T, a *testkit.App) {
		a.Mux.Handle("/panics", a.WebSocket(func(context.Context, *bridge.Conn) error { panic(testkit.Panics{}) }, nil))
		require.Equal(t, bridge.CodeFailed, webclient.NewBrowser(t, a.Serve(t)).Dial("/panics").Closed())
	}},
	"a socket handler fails": {"WARN", "out of ink", func(t *testing.T, a *testkit.App) {
		a.Mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return errors.New("out of ink") }, nil))
		require.Equal(t, bridge.CodeFailed, webclient.NewBrowser(t, a.Serve(t)).Dial("/fails").Closed())
	}},
	"ConnOptions are out of range": {"ERROR", "MaxMessageBytes", func(_ *testing.T, a *testkit.App) {
		a.WebSocket(testkit.Converse, &bridge.ConnOptions{MaxMessageBytes: -7})
	}},
	"a value can't be encoded": {"ERROR", "the key", func(t *testing.T, a *testkit.App) {
		a.SessionPage("/bad", func(s *bridge.Session) (any, error) { s.Set("the key", func() {}); return "ok", nil })
		require.Equal(t, http.StatusInternalServerError, webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/bad").Code)
	}},
	"a session begins after the first byte": {"ERROR", "headers have been sent", func(t *testing.T, a *testkit.App) {
		a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
			s, err := a.Session(r)
			require.NoError(t, err)
			_, _ = io.WriteString(w, "early")
			s.Set("k", 1)
		})
		require.Panics(t, func() { webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/late") })
	}},
	"a change after the last commit": {"WARN", "the change is lost", func(t *testing.T, a *testkit.App) {
		var kept *bridge.Session
		a.SessionPage("/keep", func(s *bridge.Session) (any, error) { kept = s; return "ok", nil })
		webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/keep")
		kept.Set("k", 1)
	}},
	"an event callback panics": {"ERROR", "event callback panicked", func(t *testing.T, a *testkit.App) {
		a.OnSessionSet(func(bridge.SessionSet) { panic(testkit.Panics{}) })
		webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/inc")
	}},
	"a close function panics": {"ERROR", "background task panicked", func(t *testing.T, a *testkit.App) {
		a.Mux.HandleFunc("/attach", func(_ http.ResponseWriter, r *http.Request) {
			link, err := a.Attach(r, func(int, string) { panic(testkit.Panics{}) })
			require.NoError(t, err)
			_, err = a.CloseConn(r.Context(), link.ID(), bridge.CodeIdle, "")
			require.NoError(t, err)
			<-link.Context().Done()
			link.Detach()
		})
		webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/attach")
	}},
}

// TestABridgeWithoutOptionsReportsFailures by the logger that slog has by default when they happen.
func TestABridgeWithoutOptionsReportsFailures(t *testing.T) {
	for name, c := range silentFailures {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			log := captureDefault(t) // after New: as an application may call SetDefault
			c.cause(t, a)
			require.NoError(t, a.Shutdown(t.Context()))
			require.Contains(t, log.String(), "level="+c.level)
			require.Contains(t, log.String(), c.says)
		})
	}
}

// TestPanicsAreReportedWhateverTheLogger: also where that discards everything, and as a Failure.
func TestPanicsAreReportedWhateverTheLogger(t *testing.T) {
	for name, c := range silentFailures {
		if !strings.HasSuffix(name, "panics") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			log := captureDefault(t)
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: slog.New(slog.DiscardHandler)})
			failed := make(chan error, 10)
			a.OnFailure(func(f bridge.Failure) { failed <- f.Err })
			c.cause(t, a)
			require.NoError(t, a.Shutdown(t.Context()))
			require.Contains(t, log.String(), c.says)
			require.Contains(t, log.String(), "defaultlog_test.go", "with the stack")
			if name != "an event callback panics" { // it may be one of failures
				require.ErrorIs(t, await.Receive(t, failed), bridge.ErrPanicked)
			}
		})
	}
}

// TestAnOrdinaryDayFillsNoLog: what visitors, users and attackers do is not logged by default, line
// by line.
func TestAnOrdinaryDayFillsNoLog(t *testing.T) {
	log := captureDefault(t)
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}})
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/plain")
	br.OK("/inc")
	br.OK("/rotate")
	stale := br.Another()
	br.OK("/login?user=ada")
	require.Equal(t, http.StatusConflict, stale.Get("/inc").Status)
	ws := br.Dial("/ws")
	ws.Ask("inc")
	require.NoError(t, ws.Conn.CloseNow())
	br.OK("/logout")
	br.OK("/inc")
	forger := webclient.NewBrowser(t, site)
	forger.SetCookie("sid", "forged")
	forger.OK("/get")
	_, _, err := webclient.NewBrowser(t, site).DialOffering("/ws", nil, bridge.Subprotocol, "sessionbridge.ticket.x")
	require.Error(t, err)
	require.NoError(t, a.Shutdown(t.Context()))
	require.Empty(t, log.String())
}
