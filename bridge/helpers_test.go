package bridge_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// patience is how long a test waits for what must happen: far longer than it takes on a loaded machine.
const patience = time.Minute

// newBridge returns a Bridge that is shut down, completely, when the test ends.
func newBridge(t testing.TB, st store.Store, opts *bridge.Options) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(st, opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		require.NoError(t, b.Shutdown(ctx))
	})
	return b
}

// site is a server that a test has started.
type site struct {
	url  string
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// serve starts a server on the loopback network.
func serve(t testing.TB, h http.Handler) *site {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &site{srv.URL, (&net.Dialer{}).DialContext}
}

// serveInMemory starts a server whose connections are net.Pipe, for tests in a synctest bubble.
func serveInMemory(t testing.TB, h http.Handler) *site {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return &site{"http://app.test", l.dial}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// browser is a client with a cookie jar of its own.
type browser struct {
	t      testing.TB
	base   *url.URL
	client *http.Client
}

func newBrowser(t testing.TB, s *site) *browser {
	t.Helper()
	base, err := url.Parse(s.url)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{DialContext: s.dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, base, &http.Client{Jar: jar, Transport: transport}}
}

// another returns a browser at the same site with the same cookies in a jar of its own, as a thief has them.
func (br *browser) another() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(br.t, err)
	jar.SetCookies(br.base, br.client.Jar.Cookies(br.base))
	return &browser{br.t, br.base, &http.Client{Jar: jar, Transport: br.client.Transport}}
}

// reply is an answer that has been read to its end.
type reply struct {
	status int
	body   string
	header http.Header
}

// get asks for a page. It may be called from other goroutines than the test's.
func (br *browser) get(path string, header ...string) reply {
	rep, err := br.try(br.t.Context(), path, header...)
	if err != nil {
		br.t.Errorf("GET %s: %v", path, err)
	}
	return rep
}

// ok asks for a page that must come with 200, and returns its body.
func (br *browser) ok(path string) string {
	br.t.Helper()
	rep := br.get(path)
	require.Equal(br.t, http.StatusOK, rep.status, "GET %s: %s", path, rep.body)
	return rep.body
}

// try asks for a page with header lines, each a name and a value in turn.
func (br *browser) try(ctx context.Context, path string, header ...string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, br.base.String()+path, nil)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := br.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, string(body), res.Header}, err
}

// cookie returns the value of a cookie in the jar, "" for none.
func (br *browser) cookie(name string) string {
	for _, c := range br.client.Jar.Cookies(br.base) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// setCookie puts a cookie into the jar; an empty value removes it.
func (br *browser) setCookie(name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		c.MaxAge = -1
	}
	br.client.Jar.SetCookies(br.base, []*http.Cookie{c})
}

// socket is the browser's end of a WebSocket.
type socket struct {
	t     testing.TB
	ws    *websocket.Conn
	inbox chan string // what listen has read; nil: it doesn't
	lost  error       // once inbox is closed
}

// listen reads from now on, as a browser does, which is how pings get their answer. hear returns what has come.
func (s *socket) listen() *socket {
	s.inbox = make(chan string, 1024)
	ctx := context.WithoutCancel(s.t.Context())
	go func() { // ends with the connection
		defer close(s.inbox)
		for {
			_, data, err := s.ws.Read(ctx)
			if err != nil {
				s.lost = err
				return
			}
			s.inbox <- string(data)
		}
	}()
	return s
}

// read returns the next message.
func (s *socket) read(ctx context.Context) (string, error) {
	if s.inbox == nil {
		_, data, err := s.ws.Read(ctx)
		return string(data), err
	}
	select {
	case text, ok := <-s.inbox:
		if !ok {
			return "", s.lost
		}
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// dial opens a WebSocket, which must succeed.
func (br *browser) dial(path string) *socket {
	br.t.Helper()
	s, res, err := br.tryDial(path, nil)
	require.NoError(br.t, err, "dial %s: %v", path, res)
	return s
}

// tryDial opens a WebSocket with more headers. The response is nil when there was none.
func (br *browser) tryDial(path string, header http.Header) (*socket, *http.Response, error) {
	ws, res, err := websocket.Dial(br.t.Context(), br.base.String()+path, &websocket.DialOptions{HTTPClient: br.client, HTTPHeader: header})
	if err != nil {
		return nil, res, err
	}
	br.t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{t: br.t, ws: ws}, res, nil
}

// say sends a text message.
func (s *socket) say(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.ws.Write(ctx, websocket.MessageText, []byte(text)))
}

// hear returns the next message.
func (s *socket) hear() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	text, err := s.read(ctx)
	require.NoError(s.t, err)
	return strings.TrimSpace(text)
}

// ask sends a message and returns the next one.
func (s *socket) ask(text string) string {
	s.t.Helper()
	s.say(text)
	return s.hear()
}

// closed waits for the close frame, past messages, and returns its code; -1 when the connection ended without one.
func (s *socket) closed() int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		if _, err := s.read(ctx); err != nil {
			require.NoError(s.t, ctx.Err(), "the connection is still open")
			return int(websocket.CloseStatus(err))
		}
	}
}

// whenClosed reads on until the connection is closed, however long that takes, and sends the code of the close frame. In memory
// somebody must be reading, or the frame can't be sent.
func (s *socket) whenClosed() <-chan int {
	code := make(chan int, 1)
	ctx := context.WithoutCancel(s.t.Context())
	go func() {
		for {
			if _, err := s.read(ctx); err != nil {
				code <- int(websocket.CloseStatus(err))
				return
			}
		}
	}()
	return code
}
