package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testserver"
)

// server is the API with a server of its own, in memory.
type server struct {
	t     *testing.T
	dial  testserver.Dial
	stop  context.CancelFunc
	ended chan error
}

func serveAPI(t *testing.T, b *bridge.Bridge) *server {
	t.Helper()
	h, err := admin.Handler(b, &admin.Options{Keys: keys()})
	require.NoError(t, err)
	l, dial := testserver.Listen()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{t, dial, cancel, make(chan error, 1)}
	go func() { s.ended <- admin.Serve(ctx, l, h) }()
	return s
}

// stream opens a stream of events, and returns its lines until the end of the test.
func (s *server) stream(query, lastID string) (lines <-chan string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r, err := http.NewRequestWithContext(ctx, get, "http://app.localhost/v1/main/events"+query, nil)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer "+reader)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	transport := &http.Transport{DialContext: s.dial}
	res, err := transport.RoundTrip(r)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, res.StatusCode)
	require.Equal(s.t, "text/event-stream", res.Header.Get("Content-Type"))
	all := make(chan string, 1000)
	go func() {
		defer close(all)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			all <- lines.Text()
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		_ = res.Body.Close()
		transport.CloseIdleConnections()
	})
	return all
}

// next returns the next line that begins with the prefix, without it.
func next(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	for line := range lines {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			return text
		}
	}
	require.Fail(t, "the stream has ended", prefix)
	return ""
}

// TestEventsAreStreamed: what happens, by type, however long nothing does, and again from a place in
// the stream on. The end of the server ends the streams at once.
func TestEventsAreStreamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newMain(t, nil)
		s := serveAPI(t, b)
		all, ends := s.stream("", ""), s.stream("?type=session.destroy", "")
		require.Equal(t, "connected", next(t, all, ": "))
		require.Equal(t, "connected", next(t, ends, ": "))
		c, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
		require.NoError(t, err)
		id := next(t, all, "id: ")
		require.Equal(t, "session.set", next(t, all, "event: "))
		require.Contains(t, next(t, all, "data: "), `"user":"ada"`)
		time.Sleep(10 * time.Minute) // the server's ReadTimeout is a minute
		_, err = b.DestroyByID(t.Context(), c.SessionID)
		require.NoError(t, err)
		require.Equal(t, "session.destroy", next(t, all, "event: "))
		require.Equal(t, "session.destroy", next(t, ends, "event: "))
		require.Contains(t, next(t, ends, "data: "), c.SessionID)
		again := s.stream("", id)
		require.Equal(t, "session.destroy", next(t, again, "event: "), "the first one after its id")

		stopped := time.Now()
		s.stop()
		for _, lines := range []<-chan string{all, ends, again} {
			for range lines {
			}
		}
		require.NoError(t, <-s.ended)
		require.Less(t, time.Since(stopped), time.Second, "it doesn't wait for its clients, as for other requests")
	})
}

// TestAClientThatStopsReadingIsCut: it would hold its place in memory for as long as it likes.
func TestAClientThatStopsReadingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newMain(t, nil)
		s := serveAPI(t, b)
		conn, err := s.dial(t.Context(), "", "")
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, "GET /v1/main/events HTTP/1.1\r\nHost: app.localhost\r\nX-Api-Key: "+reader+"\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		time.Sleep(11 * time.Second)
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the stream has ended, and is not silent")
		s.stop()
		require.NoError(t, <-s.ended)
	})
}

func TestEventsCheckTheirInput(t *testing.T) {
	_, c := newMain(t, nil)
	for query, field := range map[string]string{
		"type=session.created": "type", "type=": "type", "session=x": "session", "client=": "client", "user=ada": "user",
	} {
		a := c.do(get, "events?"+query, nil)
		require.Equal(t, http.StatusBadRequest, a.Status, query)
		require.Contains(t, a.Body, `"field":"`+field+`"`)
	}
	for _, after := range []string{"-1", "+1", "x", "1.5", ""} {
		require.Equal(t, http.StatusBadRequest, c.do(get, "series?after="+after, nil).Status, after)
	}
}

func TestSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newMain(t, nil)
		for range 10 {
			_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
			require.NoError(t, err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		var table struct {
			Seconds float64
			Times   []int64
			Columns map[string][]*float64
		}
		require.NoError(t, json.Unmarshal([]byte(c.ok(http.StatusOK, get, "series", nil).Body), &table))
		require.Equal(t, 5.0, table.Seconds)
		require.Len(t, table.Times, 2)
		require.Equal(t, 2.0, *table.Columns["logins"][0])
		require.Equal(t, 0.0, *table.Columns["logins"][1])
		later := c.ok(http.StatusOK, get, "series?after="+string(mustJSON(t, table.Times[0])), nil)
		require.NoError(t, json.Unmarshal([]byte(later.Body), &table))
		require.Len(t, table.Times, 1)
	})
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// TestDashboardNeedsNoKey: it is a page without data. It can be mounted anywhere.
func TestDashboardNeedsNoKey(t *testing.T) {
	_, c := newMain(t, nil)
	a := c.as("").page("/dashboard/")
	require.Equal(t, http.StatusOK, a.Status)
	require.Contains(t, a.Body, "<!doctype html>")
	require.Contains(t, a.Header.Get("Content-Security-Policy"), "script-src 'self'")
	require.Equal(t, http.StatusOK, c.as("").page("/dashboard/dashboard.js").Status)
	require.Equal(t, http.StatusNotFound, c.as("").page("/dashboard/nothing").Status)
	to := c.as("").page("/dashboard")
	require.Equal(t, http.StatusSeeOther, to.Status)
	require.Equal(t, "dashboard/", to.Header.Get("Location"))
}
