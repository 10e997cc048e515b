package faultynet

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy is the network between a client and a server, which a test can disturb in several ways. It
// is safe for concurrent use.
type Proxy struct {
	t        testing.TB
	to       string
	replies  func(drops func() bool) Pass
	listener net.Listener
	ctx      context.Context // until the end of the test
	work     sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // signals changes of the following fields and of pending writes
	lines    map[*line]struct{}
	delay    time.Duration
	refusing bool
	stalled  bool
	dropping bool
	dropped  int
	passing  int // number of pieces that are being written
}

// line is a connection from a client to the server.
type line struct {
	client, server net.Conn
	over           chan struct{} // closed when the line is cut; guarded by the proxy's lock
}

// Pass is called with each piece of what a server sends on a connection, of any size, and returns
// what the client receives of it and of earlier pieces.
type Pass func(piece []byte) ([]byte, error)

// Start starts a proxy in front of the server at that address, which need not run, until the end of
// the test. replies is called for each connection; its Pass calls drops for each message that
// DropPushes may drop, and drops it if that returns true. nil passes everything.
func Start(t testing.TB, to string, replies func(drops func() bool) Pass) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	if replies == nil {
		replies = func(func() bool) Pass { return everything }
	}
	p := &Proxy{t: t, to: to, replies: replies, listener: listener, ctx: ctx, lines: make(map[*line]struct{})}
	p.changed = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		p.Refuse()
		cancel()
		_ = listener.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Addr returns the host and port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes all connections and returns their number. The server still executes what has been
// forwarded, but its replies are lost. A connection that is not yet established is a new one.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.lines)
	for l := range p.lines {
		reset(l.client)
		p.end(l)
	}
	return n
}

// Refuse closes new connections at once, until Allow. Open connections stay.
func (p *Proxy) Refuse() { p.set(func() { p.refusing = true }) }

// Allow undoes Refuse.
func (p *Proxy) Allow() { p.set(func() { p.refusing = false }) }

// Stall stops forwarding in both directions until Resume. Connections stay open and new ones are
// accepted, but no data passes.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
	for p.passing > 0 {
		p.changed.Wait()
	}
}

// Resume forwards everything that Stall has held back, in order.
func (p *Proxy) Resume() { p.set(func() { p.stalled = false }) }

// Delay delays each piece in both directions, and those behind it. 0 ends the delay.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// DropPushes drops the messages that the server sends without being asked. Replies pass.
func (p *Proxy) DropPushes() { p.set(func() { p.dropping = true }) }

// PassPushes undoes DropPushes. Dropped messages are not repeated.
func (p *Proxy) PassPushes() { p.set(func() { p.dropping = false }) }

// Dropped returns the number of messages that DropPushes has dropped.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() == nil {
				p.t.Errorf("faultynet: %v", err)
			}
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// serve forwards in both directions until either end is closed or the connection is cut.
func (p *Proxy) serve(client net.Conn) {
	var dialer net.Dialer
	server, err := dialer.DialContext(p.ctx, "tcp", p.to)
	if err != nil {
		reset(client)
		return
	}
	l := &line{client: client, server: server, over: make(chan struct{})}
	p.set(func() {
		p.lines[l] = struct{}{}
		if p.refusing {
			p.end(l)
		}
	})
	var back sync.WaitGroup
	back.Go(func() { p.forward(l, server, client, p.replies(p.drops)) })
	p.forward(l, client, server, everything)
	back.Wait()
}

func everything(piece []byte) ([]byte, error) { return piece, nil }

// drops reports whether the next push that may be dropped is dropped.
func (p *Proxy) drops() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropping {
		p.dropped++
	}
	return p.dropping
}

// forward forwards what one end sends, as far as through allows.
func (p *Proxy) forward(l *line, from, to net.Conn, through Pass) {
	defer p.set(func() { p.end(l) })
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.begin(l) {
			return
		}
		out, err := through(b[:n])
		if err != nil {
			p.t.Errorf("faultynet: %v", err)
		} else if len(out) > 0 {
			_, err = to.Write(out)
		}
		p.set(func() { p.passing-- })
		if err != nil {
			return
		}
	}
}

// begin waits until a piece may be forwarded, and counts it. It returns false if the connection has
// been cut.
func (p *Proxy) begin(l *line) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-l.over:
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && !p.gone(l) {
		p.changed.Wait()
	}
	if p.gone(l) {
		return false
	}
	p.passing++
	return true
}

// gone requires the lock.
func (p *Proxy) gone(l *line) bool {
	_, there := p.lines[l]
	return !there
}

// end closes a connection once. It requires the lock.
func (p *Proxy) end(l *line) {
	if p.gone(l) {
		return
	}
	delete(p.lines, l)
	close(l.over)
	_ = l.client.Close()
	_ = l.server.Close() // without a reset, which would discard what the server hasn't read yet
	p.changed.Broadcast()
}

// reset closes a connection so that the other end notices at once, regardless of pending data.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
