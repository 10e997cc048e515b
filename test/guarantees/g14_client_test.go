package guarantees_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// listen calls on with each message until ctx ends or the server wants no further connection. It calls
// load when the application must load its state: on the first connection, and when messages are lost.
// It calls header before each handshake, because a login replaces the cookies.
func listen(ctx context.Context, url string, header func() http.Header, on func([]byte), load func()) error {
	for position := ""; ; {
		ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
			HTTPHeader: header(), Subprotocols: []string{"sessionbridge", "sessionbridge.kept" + position},
		})
		if err == nil {
			ws.SetReadLimit(1 << 20) // more than MaxKeptBytes of the server
			position, err = receive(ctx, ws, position, on, load)
		}
		switch code := websocket.CloseStatus(err); {
		case code >= 4500, code == 1000, code == 1008, code == 1009:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500*time.Millisecond + rand.N(500*time.Millisecond)):
		}
	}
}

// receive reads until the connection ends, and returns the position that it has reached.
func receive(
	ctx context.Context, ws *websocket.Conn, position string, on func([]byte), load func(),
) (string, error) {
	for first := position == ""; ; {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return position, err
		}
		frame, isFrame := bytes.CutPrefix(data, []byte{0x1e})
		if !isFrame {
			on(data)
			continue
		}
		header, payload, _ := bytes.Cut(frame, []byte("\n"))
		next, kind, _ := strings.Cut(string(header), " ")
		if next != "" {
			position = "." + next
		}
		switch {
		case kind == "":
			on(payload)
		case kind == "gone", kind == "ready" && first:
			load()
		}
	}
}

// G14: the client in Go that docs/sockets.md shows misses nothing when its connection is closed, or
// its session becomes that of a user. After a logout it doesn't come back.
func TestG14_NothingMissedAtAReconnect_ByTheClientInGo(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	session := bridge.To{SessionID: br.OK("/id")}
	cookies := func() http.Header {
		r := http.Request{Header: http.Header{}}
		for _, c := range br.Client.Jar.Cookies(br.Base) {
			r.AddCookie(c)
		}
		return r.Header
	}
	heard, ended := make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- listen(t.Context(), strings.Replace(br.Base.String(), "http", "ws", 1)+"/ws", cookies,
			func(data []byte) { heard <- string(data) }, func() { heard <- "load" })
	}()
	expect := func(want ...string) {
		t.Helper()
		for range len(want) {
			require.Contains(t, want, await.Receive(t, heard))
		}
	}
	expect("load")
	conns := testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 1)
	notifyKept(t, a.Bridge, session, "one")
	expect("one")

	_, err := a.CloseConn(t.Context(), conns[0].ID, bridge.CodeIdle, "")
	require.NoError(t, err)
	notifyKept(t, a.Bridge, session, "\x1etwo")
	expect("\x1etwo")

	br.OK("/login?user=ann")
	notifyKept(t, a.Bridge, session, "three")
	notifyKept(t, a.Bridge, bridge.To{UserID: "ann"}, "four")
	expect("three", "four")
	notifyKept(t, a.Bridge, session, strings.Repeat("large", 10_000))
	expect(strings.Repeat("large", 10_000))

	br.OK("/logout")
	require.EqualValues(t, bridge.CodeDestroyed, websocket.CloseStatus(await.Receive(t, ended)))
}

// A client misses nothing from the moment on when the handler of its first connection runs: what that
// answers is the state to begin with.
func TestG14_FirstConnectionMissesNothingOnceItsHandlerRuns(t *testing.T) {
	onEveryStore(t, func(t *testing.T, a *testkit.App, s *webclient.Site) {
		a.Mux.Handle("/first", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for _, to := range []bridge.To{{SessionID: c.SessionID()}, {UserID: "ann"}} {
				if err := a.NotifyKept(ctx, to, time.Hour, []byte("early")); err != nil {
					return err
				}
			}
			<-c.CloseRead().Done()
			return nil
		}, nil))
		br := webclient.NewBrowser(t, s)
		br.OK("/login?user=ann")
		notifyKept(t, a.Bridge, bridge.To{UserID: "ann"}, "before")
		br.DialKept("/first", "").Expect("ready", "kept: early", "kept: early")
	})
}
