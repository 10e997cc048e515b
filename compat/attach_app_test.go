package compat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	writeTimeout = 10 * time.Second // of one message: a client that takes nothing for so long is given up
	maxMessage   = 64 << 10         // bytes, from a client
	heartbeat    = 30 * time.Second // a ping: proxies cut what is silent for a minute or so
	silence      = 45 * time.Second // of a client: longer than a heartbeat and the way of its pong
)

var counted = bridge.NewKey[int]("counted")

// count is the mutation of the pages and of the connections.
func count(_ context.Context, s *bridge.Session) (int, error) {
	n, _ := counted.Get(s)
	counted.Set(s, n+1)
	return n + 1, nil
}

// answer is what the application has to say to a client's word: inc, id, logout.
func answer(ctx context.Context, link *bridge.Link, word string) string {
	var n int
	var err error
	switch word {
	case "inc":
		n, err = bridge.WithSession(ctx, link, count, nil)
	case "logout":
		err = link.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { s.Logout(); return nil }, nil)
	default:
		return link.ID()
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(n)
}

// attachApp is an application with the pages /inc, /id, /login and /logout, whose connections connect makes, at /connect.
func attachApp(b *bridge.Bridge, connect http.Handler) http.Handler {
	mux := http.NewServeMux()
	page := func(path string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			v, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), bridge.HTTPStatus(err))
				return
			}
			fmt.Fprint(w, v)
		})
	}
	own := func(do func(s *bridge.Session) (any, error)) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			s, err := b.Session(r)
			if err != nil {
				return nil, err
			}
			return do(s)
		}
	}
	page("/inc", func(r *http.Request) (any, error) { return bridge.WithSession(r.Context(), b.For(r), count, nil) })
	page("/id", own(func(s *bridge.Session) (any, error) { return s.ID(), nil }))
	page("/login", own(func(s *bridge.Session) (any, error) { return "", s.Login("ada") }))
	page("/logout", own(func(s *bridge.Session) (any, error) { s.Logout(); return "", nil }))
	mux.Handle("/connect", connect)
	return b.Handler(mux)
}

// visitor is an application's only client, with a cookie jar. It panics where a test would fail.
type visitor struct {
	server  *httptest.Server
	client  *http.Client
	leaves  []func() error
	serving sync.WaitGroup // requests; the server doesn't wait for connections that were hijacked
}

func visit(h http.Handler) *visitor {
	jar, err := cookiejar.New(nil)
	must(err)
	v := &visitor{}
	v.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.serving.Add(1)
		defer v.serving.Done()
		h.ServeHTTP(w, r)
	}))
	v.client = v.server.Client()
	v.client.Jar = jar
	return v
}

// leave ends everything, on either side.
func (v *visitor) leave(b *bridge.Bridge) {
	for _, leave := range v.leaves {
		_ = leave()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(b.Shutdown(ctx))
	v.server.Close()
	v.serving.Wait()
}

func (v *visitor) get(path string) string {
	res, err := v.client.Get(v.server.URL + path)
	must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(err)
	if res.StatusCode != http.StatusOK {
		panic(fmt.Sprintf("GET %s: %s: %s", path, res.Status, body))
	}
	return string(body)
}

// visitorSocket is the client's end of a WebSocket.
type visitorSocket struct{ ws *websocket.Conn }

func (v *visitor) dial(path string) visitorSocket {
	ws, _, err := websocket.Dial(context.Background(), v.server.URL+path, &websocket.DialOptions{HTTPClient: v.client})
	must(err)
	v.leaves = append(v.leaves, ws.CloseNow)
	return visitorSocket{ws}
}

func (s visitorSocket) ask(text string) string {
	must(s.ws.Write(context.Background(), websocket.MessageText, []byte(text)))
	return s.hear()
}

func (s visitorSocket) hear() string {
	_, text, err := s.ws.Read(context.Background())
	must(err)
	return string(text)
}

// end returns the code and the reason of the close frame.
func (s visitorSocket) end() string {
	_, text, err := s.ws.Read(context.Background())
	if err == nil {
		return "not yet, but: " + string(text)
	}
	var end websocket.CloseError
	if !errors.As(err, &end) {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", end.Code, end.Reason)
}

// events reads a stream of server-sent events.
type events struct{ lines *bufio.Reader }

func (v *visitor) listen(path string) events {
	res, err := v.client.Get(v.server.URL + path)
	must(err)
	v.leaves = append(v.leaves, res.Body.Close)
	return events{bufio.NewReader(res.Body)}
}

func (e events) next() (name, data string) {
	name, data, err := e.read()
	must(err)
	return name, data
}

// read returns the next event.
func (e events) read() (name, data string, err error) {
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value
		case "":
			if name != "" || data != "" { // otherwise the end of a comment
				return name, data, nil
			}
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
