package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy is the network between a client and a server, which a test can break in several ways. Its methods may be called from any goroutine.
type Proxy struct {
	t        testing.TB
	to       string
	listener net.Listener
	ctx      context.Context // until the end of the test
	work     sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // of what follows, and of what is under way
	lines    map[*line]struct{}
	delay    time.Duration
	refusing bool
	stalled  bool
	dropping bool
	dropped  int
	passing  int // pieces that are being written
}

// line is a connection with both its ends.
type line struct {
	client, server net.Conn
	over           chan struct{} // closed when it is cut; the proxy's lock guards that
}

// StartProxy starts a proxy in front of a server of Redis, which need not run, for the rest of the test.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &Proxy{t: t, to: s.Addr(), listener: listener, ctx: ctx, lines: make(map[*line]struct{})}
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

// Addr returns host and port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the URL for redisstore.Open.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Cut ends all connections, now, and returns how many they were. What has been passed on to the server is still carried out, but its answers
// are lost. A connection that is still on its way to the server is a new one.
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

// Refuse ends new connections as soon as they come, until Allow. Those that are open stay.
func (p *Proxy) Refuse() { p.set(func() { p.refusing = true }) }

// Allow ends what Refuse began.
func (p *Proxy) Allow() { p.set(func() { p.refusing = false }) }

// Stall lets nothing pass any more, in either direction, as soon as it returns, and until Resume: connections stay, and new ones can be made, but nobody
// is answered.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
	for p.passing > 0 {
		p.changed.Wait()
	}
}

// Resume lets everything pass that Stall has kept, in order.
func (p *Proxy) Resume() { p.set(func() { p.stalled = false }) }

// Delay has each piece of what is sent arrive that much later, in both directions; what comes meanwhile waits with it. 0 ends it.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// DropPushes loses what the server says without having been asked: messages of subscriptions, and invalidations of what a client
// caches. Commands and their answers pass, those of SUBSCRIBE and the like too. It needs RESP3.
func (p *Proxy) DropPushes() { p.set(func() { p.dropping = true }) }

// PassPushes ends what DropPushes began. What was lost doesn't come back.
func (p *Proxy) PassPushes() { p.set(func() { p.dropping = false }) }

// Dropped returns how many messages DropPushes has lost.
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
				p.t.Errorf("redistest: proxy: %v", err)
			}
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// serve passes on what comes, until either end is gone or the connection is cut.
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
	answers := frames{drops: p.drops}
	var back sync.WaitGroup
	back.Go(func() { p.forward(l, server, client, answers.pass) })
	p.forward(l, client, server, func(b []byte) ([]byte, error) { return b, nil })
	back.Wait()
}

// drops is asked for each push of the kinds that can be lost.
func (p *Proxy) drops() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropping {
		p.dropped++
	}
	return p.dropping
}

// forward passes on what one end sends, as far as through lets it pass.
func (p *Proxy) forward(l *line, from, to net.Conn, through func([]byte) ([]byte, error)) {
	defer p.set(func() { p.end(l) })
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.begin(l) {
			return
		}
		out, err := through(b[:n])
		if err != nil {
			p.t.Errorf("redistest: proxy: %v", err)
		} else if len(out) > 0 {
			_, err = to.Write(out)
		}
		p.set(func() { p.passing-- })
		if err != nil {
			return
		}
	}
}

// begin waits until a piece may pass, and counts it. It returns false when the connection has been cut meanwhile.
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

// gone needs the lock.
func (p *Proxy) gone(l *line) bool {
	_, there := p.lines[l]
	return !there
}

// end ends a connection, if nobody has done it yet. It needs the lock.
func (p *Proxy) end(l *line) {
	if p.gone(l) {
		return
	}
	delete(p.lines, l)
	close(l.over)
	_ = l.client.Close()
	_ = l.server.Close() // never with a reset, which would take with it what the server hasn't read yet
	p.changed.Broadcast()
}

// reset ends a connection so that the other end hears of it at once, whatever is under way.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
