package socket_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// server is one end of a connection, and its Owner.
type server struct {
	socket.Conn
	ctx              context.Context
	cancel           context.CancelCauseFunc
	clock            *clock.Clock
	opened           time.Duration
	closing          atomic.Bool
	refused          chan socket.Reason
	peer             net.Conn     // the client's end
	received, active atomic.Int64 // how many messages; and when, on the clock
	most             int64        // messages that it takes; 0: any number
	tooLarge         atomic.Int64
}

func (s *server) Context() context.Context { return s.ctx }
func (s *server) Lost(cause error)         { s.cancel(cause) }
func (s *server) Closing() bool            { return s.closing.Load() }
func (s *server) Refuse(why socket.Reason) { s.refused <- why }

func (s *server) TooLarge() { s.tooLarge.Add(1) }

// Received refuses messages beyond most.
func (s *server) Received(int) error {
	if n := s.received.Add(1); s.most > 0 && n > s.most {
		return errActive
	}
	return nil
}

// Active takes messages that begin with "quiet" for no activity, and fails for "fail".
func (s *server) Active(m *inbox.Message) error {
	if m.Quiet = bytes.HasPrefix(m.Data, []byte("quiet")); !m.Quiet {
		s.active.Store(int64(s.clock.Now()))
	}
	if string(m.Data) == "fail" {
		return errActive
	}
	return nil
}

var errActive = errors.New("the owner fails")

func (s *server) Times() (opened, active time.Duration) {
	return s.opened, time.Duration(s.active.Load())
}

// cause waits for the end of the connection's context.
func (s *server) cause() error {
	<-s.ctx.Done()
	return context.Cause(s.ctx)
}

// pipes is a net.Listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// connect opens a connection in memory, whose server has been started. Within a bubble.
func connect(t *testing.T, cfg socket.Config) (*server, *websocket.Conn) {
	s := &server{clock: clock.New(), refused: make(chan socket.Reason, 1000)}
	s.ctx, s.cancel = context.WithCancelCause(t.Context())
	acceptor := socket.NewRuntime(s.clock, workers.New(func(any) {})).NewAcceptor(cfg)
	site := &pipes{make(chan net.Conn), make(chan struct{})}
	accepted := make(chan error, 1)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := s.Accept(acceptor, s, w, r)
		accepted <- err
	})}
	served := make(chan error, 1)
	go func() { served <- web.Serve(site) }()
	client, _, err := websocket.Dial(t.Context(), "ws://example.com/", &websocket.DialOptions{
		Subprotocols: cfg.Subprotocols,
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				site.conns <- theirs
				s.peer = ours
				return ours, nil
			},
		}},
	})
	require.NoError(t, err)
	require.NoError(t, <-accepted)
	s.opened = s.clock.Now()
	s.active.Store(int64(s.opened))
	s.Start()
	t.Cleanup(func() {
		s.cancel(nil)
		s.Release()
		s.Cut()
		_ = client.CloseNow()
		_ = web.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		time.Sleep(11 * time.Second) // the Runtime's review, and the grace for messages that wait
		s.clock.Close()
		require.Zero(t, s.clock.Len(), "deadlines of the connection")
	})
	return s, client
}

func say(t *testing.T, client *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, client.Write(t.Context(), websocket.MessageText, []byte(text)))
}

// hear returns what the server reads next.
func (s *server) hear(t *testing.T) string {
	t.Helper()
	m, err := s.Read(s.ctx)
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, m.Type)
	return string(m.Data)
}
