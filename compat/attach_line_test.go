package compat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gobwasapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gorillaapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gwsapp"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// attachment is a way to have something long-lived that the bridge did not make.
type attachment struct {
	name    string
	handler func(*bridge.Bridge) http.Handler
	open    func(br *browser) (line, int) // or the status of the refusal
}

var attachments = []attachment{
	{"gorilla", func(b *bridge.Bridge) http.Handler { return gorillaapp.Socket(b, answer) }, openSocketLine},
	{"gobwas", func(b *bridge.Bridge) http.Handler { return gobwasapp.Socket(b, answer) }, openSocketLine},
	{"gws", func(b *bridge.Bridge) http.Handler { return gwsapp.Socket(b, answer) }, openSocketLine},
	{"sse", sseHandler, openEventLine},
}

// line is the browser's end of one.
type line interface {
	say(word string)
	hear() (string, error)
	end() (code int, reason string) // past messages; -1 when it ended without a word
	leave()
}

// attachSite is the application in a bubble, over connections in memory that hold nothing: what a client doesn't read hangs.
type attachSite struct {
	*bridge.Bridge
	t       *testing.T
	kind    attachment
	network *pipeNetwork
	serving *sync.WaitGroup
}

// eachAttachment runs a test with every library, in a bubble of its own, which ends when every goroutine has.
func eachAttachment(t *testing.T, opts bridge.Options, test func(t *testing.T, a *attachSite)) {
	for _, kind := range attachments {
		t.Run(kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, newAttachSite(t, kind, opts))
			})
		})
	}
}

// eachAttachmentLive runs a test with every library at once, in real time: a bubble's stands still while a mutex is waited for, as
// these libraries do where a write hangs.
func eachAttachmentLive(t *testing.T, opts bridge.Options, test func(t *testing.T, a *attachSite)) {
	for _, kind := range attachments {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			test(t, newAttachSite(t, kind, opts))
		})
	}
}

func newAttachSite(t *testing.T, kind attachment, opts bridge.Options) *attachSite {
	t.Helper()
	a := &attachSite{t: t, kind: kind, Bridge: newBridge(t, livestore.New(), &opts), network: newPipeNetwork(), serving: &sync.WaitGroup{}}
	app := attachApp(a.Bridge, kind.handler(a.Bridge))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.serving.Add(1)
		defer a.serving.Done()
		app.ServeHTTP(w, r)
	}), ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(a.network)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return a
}

func (a *attachSite) browser() *browser {
	return browserOver(a.t, "http://app.localhost", &http.Transport{DialContext: a.network.dial})
}

// attach opens a line in a bubble, and waits until it is attached: a handshake is answered before.
func (a *attachSite) attach(br *browser) line {
	a.t.Helper()
	l := a.open(br)
	synctest.Wait()
	return l
}

// open opens a line, which must succeed.
func (a *attachSite) open(br *browser) line {
	a.t.Helper()
	l, status := a.kind.open(br)
	require.NotNil(a.t, l, "refused with %d", status)
	a.t.Cleanup(l.leave)
	return l
}

// ask says a word and returns the next message.
func ask(t *testing.T, l line, word string) string {
	t.Helper()
	l.say(word)
	return hear(t, l)
}

func hear(t *testing.T, l line) string {
	t.Helper()
	text, err := l.hear()
	require.NoError(t, err)
	return text
}

// conns returns what is open.
func (a *attachSite) conns(f bridge.ConnFilter) (all []bridge.ConnInfo) {
	for c, err := range a.Conns(a.t.Context(), f) {
		require.NoError(a.t, err)
		all = append(all, c)
	}
	return all
}

// pipeNetwork is a listener of connections that are net.Pipe, and have addresses.
type pipeNetwork struct {
	accepted chan net.Conn
	closed   chan struct{}
	between  func(net.Conn) net.Conn // what is between the server and the clients; nil: nothing
}

func newPipeNetwork() *pipeNetwork {
	return &pipeNetwork{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *pipeNetwork) Accept() (net.Conn, error) {
	select {
	case c := <-n.accepted:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *pipeNetwork) Close() error   { close(n.closed); return nil }
func (n *pipeNetwork) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (n *pipeNetwork) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	if n.between != nil {
		there = n.between(there)
	}
	select {
	case n.accepted <- pipeConn{there}:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }

// socketLine is one of a WebSocket.
type socketLine struct{ *socket }

func openSocketLine(br *browser) (line, int) {
	s, res, err := br.tryDial("/connect")
	if err != nil {
		require.NotNil(br.t, res, "%v", err)
		return nil, res.StatusCode
	}
	return socketLine{s}, res.StatusCode
}

func (l socketLine) say(word string) {
	l.t.Helper()
	require.NoError(l.t, l.ws.Write(l.t.Context(), websocket.MessageText, []byte(word)))
}

func (l socketLine) hear() (string, error) {
	_, text, err := l.ws.Read(context.WithoutCancel(l.t.Context()))
	return string(text), err
}

func (l socketLine) end() (int, string) {
	for {
		_, err := l.hear()
		var end websocket.CloseError
		switch {
		case errors.As(err, &end):
			return int(end.Code), end.Reason
		case err != nil:
			return -1, err.Error()
		}
	}
}

func (l socketLine) leave() { _ = l.ws.CloseNow() }

// eventLine is one of server-sent events, to which the browser speaks in requests.
type eventLine struct {
	br *browser
	events
	id   string
	body io.Closer
}

func openEventLine(br *browser) (line, int) {
	client := *br.client
	client.Timeout = 0 // it would count for the stream's life
	r, err := http.NewRequestWithContext(context.WithoutCancel(br.t.Context()), http.MethodGet, br.base.String()+"/connect", nil)
	require.NoError(br.t, err)
	res, err := client.Do(r)
	require.NoError(br.t, err)
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, res.StatusCode
	}
	l := &eventLine{br: br, events: events{bufio.NewReader(res.Body)}, body: res.Body}
	name, id, err := l.read()
	require.NoError(br.t, err)
	require.Equal(br.t, "open", name)
	l.id = id
	return l, res.StatusCode
}

// say returns before the answer has come, which somebody must read.
func (l *eventLine) say(word string) {
	path := l.br.base.String() + "/connect?to=" + l.id + "&word=" + url.QueryEscape(word)
	go func() { // ends with the request
		if res, err := l.br.client.Get(path); err == nil {
			_ = res.Body.Close()
		}
	}()
}

func (l *eventLine) hear() (string, error) {
	name, data, err := l.read()
	if err == nil && name != "message" {
		err = fmt.Errorf("event %s: %s", name, data)
	}
	return data, err
}

func (l *eventLine) end() (int, string) {
	for {
		name, data, err := l.read()
		if err != nil {
			return -1, err.Error()
		}
		if name != "close" && name != "reconnect" {
			continue
		}
		_, _, err = l.read()
		require.ErrorIs(l.br.t, err, io.EOF, "nothing follows")
		code, reason, _ := strings.Cut(data, " ")
		n, err := strconv.Atoi(code)
		require.NoError(l.br.t, err)
		return n, reason
	}
}

func (l *eventLine) leave() { _ = l.body.Close() }
