package testsite

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy forwards TCP connections from an address that stays the same.
type proxy struct {
	addr string
	work sync.WaitGroup

	mu       sync.Mutex
	to       string
	listener net.Listener // nil while it is cut
	conns    map[net.Conn]struct{}
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	p := &proxy{addr: "127.0.0.1:0", conns: make(map[net.Conn]struct{})}
	p.listen(t)
	p.addr = p.listener.Addr().String()
	return p
}

func (p *proxy) target(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = addr
}

func (p *proxy) listen(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // cut
			}
			p.work.Go(func() { p.forward(conn) })
		}
	})
}

func (p *proxy) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	p.mu.Lock()
	to := p.to
	p.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.track(client, server)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		p.work.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		})
	}
	<-done // one side has ended: so does the other
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

func (p *proxy) track(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
		if p.listener == nil {
			_ = conn.Close()
		}
	}
}

// cut closes everything, and returns when nothing is forwarded any more.
func (p *proxy) cut() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // as a network that fails: no orderly end
		}
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}
