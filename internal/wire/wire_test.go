package wire_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// owner counts its calls.
type owner struct{ tooMany, closed atomic.Int32 }

func (o *owner) TooManyFrames() { o.tooMany.Add(1) }
func (o *owner) Closed()        { o.closed.Add(1) }

// writer is a ResponseWriter that can be hijacked. early has come together with the handshake.
type writer struct {
	http.ResponseWriter
	conn  net.Conn
	early string
}

func (w *writer) Header() http.Header         { return http.Header{} }
func (w *writer) WriteHeader(int)             {}
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r := bufio.NewReader(io.MultiReader(strings.NewReader(w.early), w.conn))
	_, _ = r.Peek(len(w.early))
	return w.conn, bufio.NewReadWriter(r, bufio.NewWriter(w.conn)), nil
}

// hijacked returns a Conn between a client and its owner.
func hijacked(t *testing.T, cfg wire.Config, early string) (c *wire.Conn, client net.Conn, o *owner) {
	t.Helper()
	cfg.Epoch = time.Now()
	server, client := net.Pipe()
	t.Cleanup(func() { _ = server.Close(); _ = client.Close() })
	c, o = wire.New(&cfg), &owner{}
	rw := c.Wrap(&writer{conn: server, early: early})
	conn, buf, err := rw.(http.Hijacker).Hijack()
	require.NoError(t, err)
	require.Same(t, c, conn)
	require.Zero(t, buf.Reader.Buffered(), "all of it passes through Read")
	c.Start(o)
	return c, client, o
}

// frame is one from a client, masked with zeros.
func frame(final bool, opcode byte, payload string) string {
	if final {
		opcode |= 0x80
	}
	head := []byte{opcode, 0x80 | byte(len(payload))}
	if n := len(payload); n > 125 {
		head = []byte{opcode, 0x80 | 126, byte(n >> 8), byte(n)}
	}
	return string(append(head, 0, 0, 0, 0)) + payload
}

const (
	continuation = 0
	text         = 1
	closing      = 8
	ping         = 9
	pong         = 10
)

// send writes in the background, as a pipe has no buffer.
func send(client net.Conn, data string) { go func() { _, _ = io.WriteString(client, data) }() }

// read reads n bytes through c, in pieces of the size.
func read(t *testing.T, c *wire.Conn, n, size int) string {
	t.Helper()
	var all strings.Builder
	for p := make([]byte, size); all.Len() < n; {
		got, err := c.Read(p[:min(size, n-all.Len())])
		require.NoError(t, err)
		all.Write(p[:got])
	}
	return all.String()
}

func TestBytesPassUnchangedInPiecesOfAnySize(t *testing.T) {
	early := frame(true, text, "early")
	late := frame(false, text, strings.Repeat("x", 300)) + frame(true, ping, "") + frame(true, continuation, "y") + frame(true, closing, "")
	for size := 1; size < 20; size++ {
		c, client, o := hijacked(t, wire.Config{}, early)
		send(client, late)
		require.Equal(t, early+late, read(t, c, len(early+late), size))
		require.Zero(t, o.tooMany.Load(), "without a limit")
	}
}

func TestFramesThatBringNothingAreLimited(t *testing.T) {
	small, large := strings.Repeat("s", 255), strings.Repeat("l", 256)
	for name, test := range map[string]struct {
		frames  string
		counted bool
		pings   int // of the server, before
	}{
		"pings":                    {frame(true, ping, ""), true, 0},
		"pongs":                    {frame(true, pong, "x"), true, 0},
		"answers":                  {frame(true, pong, "x"), false, 100},
		"messages":                 {frame(true, text, ""), false, 0},
		"small fragments":          {frame(false, text, small) + frame(true, continuation, ""), true, 0},
		"large fragments":          {frame(false, text, large) + frame(true, continuation, large), false, 0},
		"empty last continuations": {frame(true, continuation, ""), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, client, o := hijacked(t, wire.Config{FramesPerSecond: 10, Burst: 50}, "")
				for range test.pings {
					c.Expect()
				}
				send(client, strings.Repeat(test.frames, 60))
				var err error
				for p, n := make([]byte, 512), 0; n < 60*len(test.frames) && err == nil; {
					var got int
					got, err = c.Read(p)
					n += got
				}
				if !test.counted {
					require.NoError(t, err)
					require.Zero(t, o.tooMany.Load())
					return
				}
				require.ErrorIs(t, err, wire.ErrTooManyFrames)
				require.EqualValues(t, 1, o.tooMany.Load())
				require.True(t, c.Tripped())
			})
		})
	}
}

func TestFramesWithinTheRateGoOnForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, o := hijacked(t, wire.Config{FramesPerSecond: 10, Burst: 5}, "")
		for range 1000 {
			send(client, frame(true, ping, ""))
			read(t, c, 6, 64)
			time.Sleep(100 * time.Millisecond)
		}
		require.Zero(t, o.tooMany.Load())
	})
}

func TestBytesOfATrippedClientAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, o := hijacked(t, wire.Config{FramesPerSecond: 1, Burst: 1}, "")
		send(client, frame(true, ping, "")+frame(true, ping, ""))
		_, err := c.Read(make([]byte, 64))
		require.ErrorIs(t, err, wire.ErrTooManyFrames)
		go func() {
			_, _ = io.WriteString(client, strings.Repeat(frame(true, ping, ""), 100))
			_ = client.Close()
		}()
		n, err := c.Read(make([]byte, 64))
		require.Zero(t, n)
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, 1, o.tooMany.Load())
		require.EqualValues(t, 1, o.closed.Load())
	})
}

func TestHeardAndRoundsTellWhetherTheClientLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, _ := hijacked(t, wire.Config{}, "")
		require.Zero(t, c.Heard())
		c.HeardFirst(time.Second)
		c.HeardFirst(2 * time.Second)
		require.Equal(t, time.Second, c.Heard())
		require.False(t, c.WaitsSince(c.Round()), "nothing reads")
		done := make(chan struct{})
		go func() { defer close(done); read(t, c, 6, 64) }()
		synctest.Wait()
		round := c.Round()
		require.True(t, c.WaitsSince(round))
		time.Sleep(time.Minute)
		send(client, frame(true, ping, ""))
		<-done
		require.Equal(t, time.Minute, c.Heard())
		require.False(t, c.WaitsSince(round))
	})
}

func TestCutEndsReadsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, o := hijacked(t, wire.Config{}, "")
		errs := make(chan error, 2)
		go func() { _, err := c.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := c.Write([]byte("x")); errs <- err }()
		synctest.Wait()
		c.Cut()
		require.Error(t, <-errs)
		require.Error(t, <-errs)
		require.True(t, c.Over())
		c.Interrupt() // has no effect on the deadline of the cut
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		require.EqualValues(t, 1, o.closed.Load())
	})
}

func TestCloseIsReportedOnce(t *testing.T) {
	c, _, o := hijacked(t, wire.Config{}, "")
	require.False(t, c.Over())
	_ = c.Close()
	_ = c.Close()
	require.True(t, c.Over())
	require.EqualValues(t, 1, o.closed.Load())
	unused := wire.New(&wire.Config{})
	unused.Interrupt()
	unused.Cut() // before it has a connection
}

func TestInterruptStandsInBetweenMessagesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, _ := hijacked(t, wire.Config{}, "")
		first := frame(false, text, "half")
		send(client, first)
		require.Equal(t, first, read(t, c, len(first), 64))
		c.Interrupt()
		got := make(chan string)
		rest := frame(true, continuation, "a message")
		go func() { got <- read(t, c, len(rest), 64) }()
		synctest.Wait()
		send(client, rest)
		require.Equal(t, rest, <-got, "the message that was half read")
		require.False(t, c.Interrupted())
		require.Equal(t, "\x81\x80\x00\x00\x00\x00", read(t, c, 6, 64))
		require.True(t, c.Interrupted())
		require.False(t, c.Interrupted(), "once")
		send(client, first)
		require.Equal(t, first, read(t, c, len(first), 64), "and the connection goes on")
	})
}

func TestEndInterruptTakesItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client, _ := hijacked(t, wire.Config{}, "")
		c.Interrupt()
		c.EndInterrupt()
		got := make(chan string)
		go func() { got <- read(t, c, 6, 64) }()
		synctest.Wait()
		send(client, frame(true, ping, ""))
		require.Equal(t, frame(true, ping, ""), <-got)
		require.False(t, c.Interrupted())
	})
}

// silent can't be hijacked.
type silent struct{ http.ResponseWriter }

// outer is a middleware's writer.
type outer struct{ http.ResponseWriter }

func (o outer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// gin delays the status, as gin's writer does.
type gin struct {
	*writer
	now bool
}

func (g *gin) WriteHeaderNow() { g.now = true }

func TestWrapFindsTheHijackerBelowMiddleware(t *testing.T) {
	c := wire.New(&wire.Config{})
	for _, rw := range []http.ResponseWriter{silent{}, outer{silent{}}} {
		require.Equal(t, rw, c.Wrap(rw), "it is for the upgrade to refuse")
	}
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	inner := &gin{writer: &writer{conn: server}}
	above := outer{outer{inner}}
	rw := c.Wrap(above)
	require.Equal(t, above, rw.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
	rw.(interface{ WriteHeaderNow() }).WriteHeaderNow()
	require.True(t, inner.now)
	conn, _, err := rw.(http.Hijacker).Hijack()
	require.NoError(t, err)
	require.Same(t, c, conn)
}

// pipes is a listener of pipes.
type pipes struct{ conns chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	server, client := net.Pipe()
	p.conns <- server
	return client, nil
}

func TestBelowAWebSocketAReadIsInterruptedAndTheNextOneFindsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis, served := &pipes{make(chan net.Conn)}, make(chan *websocket.Conn, 1)
		below := wire.New(&wire.Config{Epoch: time.Now(), FramesPerSecond: 100, Burst: 100})
		below.Start(&owner{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(below.Wrap(w), r, nil)
			if err != nil {
				t.Error(err)
			}
			served <- ws
		})}
		go func() { _ = server.Serve(lis) }()
		transport := &http.Transport{DialContext: lis.dial}
		defer transport.CloseIdleConnections()
		client, _, err := websocket.Dial(t.Context(), "ws://pipe", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		ws := <-served
		for range 3 {
			go func() {
				time.Sleep(time.Second)
				below.Interrupt()
			}()
			_, data, err := ws.Read(t.Context())
			require.NoError(t, err)
			require.Empty(t, data)
			require.True(t, below.Interrupted())
			go func() { _ = client.Write(t.Context(), websocket.MessageText, []byte("hello")) }()
			_, data, err = ws.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, "hello", string(data))
			require.False(t, below.Interrupted())
		}
		_ = client.CloseNow()
		_, _, err = ws.Read(t.Context())
		require.Error(t, err)
		_ = ws.CloseNow()
		require.True(t, below.Over())
		close(lis.conns)
		_ = server.Close()
	})
}
