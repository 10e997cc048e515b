package compat_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// peer is the server's end of a connection of some library.
type peer interface {
	// serve answers each message until the connection ends.
	serve(answer func(string) string)
	// end is what bridge.Attach calls.
	end(code int, reason string)
}

// library is a WebSocket library as an application uses it.
type library struct {
	name string
	// upgrade passes header on in whatever way the library has for it.
	upgrade func(w http.ResponseWriter, r *http.Request, header http.Header) (peer, error)
	// writes101 says that the library writes the response itself, past the ResponseWriter: only header reaches the client.
	writes101 bool
	// oneOfEach says that of a header with several values only the first is sent.
	oneOfEach bool
}

var libraries = []library{
	{name: "gorilla", upgrade: upgradeGorilla, writes101: true},
	{name: "gobwas", upgrade: upgradeGobwas, writes101: true},
	{name: "gws", upgrade: upgradeGws, writes101: true, oneOfEach: true},
	{name: "coder", upgrade: upgradeCoder},
}

// closeWait is for how long a peer waits for the client's close frame.
const closeWait = time.Second

type gorillaPeer struct{ conn *gorilla.Conn }

func upgradeGorilla(w http.ResponseWriter, r *http.Request, header http.Header) (peer, error) {
	var up gorilla.Upgrader
	conn, err := up.Upgrade(w, r, header)
	return gorillaPeer{conn}, err
}

func (p gorillaPeer) serve(answer func(string) string) {
	defer p.conn.Close()
	for {
		kind, data, err := p.conn.ReadMessage()
		if err != nil {
			return
		}
		if p.conn.WriteMessage(kind, []byte(answer(string(data)))) != nil {
			return
		}
	}
}

func (p gorillaPeer) end(code int, reason string) {
	deadline := time.Now().Add(closeWait)
	_ = p.conn.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), deadline)
	_ = p.conn.NetConn().SetReadDeadline(deadline)
}

type gobwasPeer struct {
	conn net.Conn
	mu   sync.Mutex // of writes: the library has none
}

func upgradeGobwas(w http.ResponseWriter, r *http.Request, header http.Header) (peer, error) {
	conn, _, _, err := ws.HTTPUpgrader{Header: header}.Upgrade(r, w)
	return &gobwasPeer{conn: conn}, err
}

func (p *gobwasPeer) serve(answer func(string) string) {
	defer p.conn.Close()
	for {
		data, op, err := wsutil.ReadClientData(struct {
			io.Reader
			io.Writer
		}{p.conn, p})
		if err != nil {
			return
		}
		if wsutil.WriteServerMessage(p, op, []byte(answer(string(data)))) != nil {
			return
		}
	}
}

// Write makes one frame's write atomic.
func (p *gobwasPeer) Write(frame []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn.Write(frame)
}

func (p *gobwasPeer) end(code int, reason string) {
	frame := ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
	_, _ = p.Write(frame)
	_ = p.conn.SetReadDeadline(time.Now().Add(closeWait))
}

type gwsPeer struct {
	conn   *gws.Conn
	events *gwsEvents
}

type gwsEvents struct {
	gws.BuiltinEventHandler
	answer func(string) string
}

func (e *gwsEvents) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = conn.WriteString(e.answer(string(message.Bytes())))
}

func upgradeGws(w http.ResponseWriter, r *http.Request, header http.Header) (peer, error) {
	events := &gwsEvents{}
	// The header is the upgrader's, so a header for one request needs an upgrader for it.
	conn, err := gws.NewUpgrader(events, &gws.ServerOption{ResponseHeader: header}).Upgrade(w, r)
	return gwsPeer{conn, events}, err
}

func (p gwsPeer) serve(answer func(string) string) {
	p.events.answer = answer
	p.conn.ReadLoop()
}

func (p gwsPeer) end(code int, reason string) { _ = p.conn.WriteClose(uint16(code), []byte(reason)) }

type coderPeer struct{ conn *coder.Conn }

func upgradeCoder(w http.ResponseWriter, r *http.Request, _ http.Header) (peer, error) {
	conn, err := coder.Accept(w, r, nil)
	return coderPeer{conn}, err
}

func (p coderPeer) serve(answer func(string) string) {
	defer p.conn.CloseNow()
	ctx := context.Background()
	for {
		kind, data, err := p.conn.Read(ctx)
		if err != nil || p.conn.Write(ctx, kind, []byte(answer(string(data)))) != nil {
			return
		}
	}
}

func (p coderPeer) end(code int, reason string) { _ = p.conn.Close(coder.StatusCode(code), reason) }
