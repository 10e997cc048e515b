package security_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// frame returns a frame of a client, masked with zeros.
func frame(final bool, opcode byte, size int) []byte {
	head := []byte{opcode, 0x80}
	if final {
		head[0] |= 0x80
	}
	switch {
	case size < 126:
		head[1] |= byte(size)
	default:
		head = append(head[:1], 0x80|126, byte(size>>8), byte(size))
	}
	head = append(head, 0, 0, 0, 0)
	return append(head, make([]byte, size)...)
}

// The opcodes of RFC 6455 §5.2.
const (
	more, text0, binary0, ping0, pong0 = 0, 1, 2, 9, 10
)

// pour opens a connection on which fn runs, and sends the frames that next returns, at intervals.
// It returns the server's close code, and the number of frames sent.
func pour(t *testing.T, opts bridge.ConnOptions, fn func(context.Context, *bridge.Conn) error, every time.Duration, most int, next func(i int) []byte) (code, sent int) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/flood", a.WebSocket(fn, &opts))
	ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
	conn := webclient.Handshake(t, a.ServeInMemory(t), "/flood")
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	for sent < most && write(conn, next(sent)) {
		sent++
		time.Sleep(every)
		synctest.Wait()
		if over := ended.Rest(); len(over) > 0 {
			require.EqualValues(t, 1, a.Stats().TooFast)
			return over[0].Code, sent
		}
	}
	require.Equal(t, most, sent)
	require.NoError(t, conn.Close())
	return ended.Next().Code, sent
}

func write(conn net.Conn, p []byte) bool {
	_, err := conn.Write(p)
	return err == nil
}

// floods are frames that cost work and bring nothing.
var floods = map[string]func(i int) []byte{
	"pings":          func(int) []byte { return frame(true, ping0, 0) },
	"long pings":     func(int) []byte { return frame(true, ping0, 125) },
	"pongs":          func(int) []byte { return frame(true, pong0, 0) },
	"empty parts":    func(i int) []byte { return frame(false, first(i, text0), 0) },
	"small parts":    func(i int) []byte { return frame(false, first(i, binary0), 1) },
	"pings in parts": func(i int) []byte { return append(frame(false, first(i, text0), 0), frame(true, ping0, 3)...) },
	"short messages in two parts": func(i int) []byte {
		return append(frame(false, text0, 1), frame(true, more, 1)...)
	},
}

func first(i int, opcode byte) byte {
	if i == 0 {
		return opcode
	}
	return more
}

func TestS13_AFloodOfFramesThatBringNothingIsClosed(t *testing.T) {
	for name, next := range floods {
		for how, c := range map[string]struct {
			opts bridge.ConnOptions
			fn   func(context.Context, *bridge.Conn) error
			most int
		}{
			"by default":                          {bridge.ConnOptions{}, testkit.Converse, 510},
			"with MessagesPerSecond":              {bridge.ConnOptions{MessagesPerSecond: 2, MessageBurst: 1000}, testkit.Converse, 60},
			"with FramesPerSecond":                {bridge.ConnOptions{FramesPerSecond: 1}, testkit.Converse, 10},
			"with a handler that doesn't read":    {bridge.ConnOptions{}, testkit.PushOnly, 510},
			"with many messages allowed":          {bridge.ConnOptions{MessagesPerSecond: 1e6}, testkit.Converse, 510},
			"with messages of any size and pings": {bridge.ConnOptions{MaxMessageBytes: bridge.Off, Heartbeat: time.Second}, testkit.Converse, 510},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					code, sent := pour(t, c.opts, c.fn, 0, 5000, next)
					require.Equal(t, bridge.CodePolicy, code)
					require.LessOrEqual(t, sent, c.most)
				})
			})
		}
	}
}

func TestAClientMayPingAndSendMessagesInParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts  bridge.ConnOptions
		every time.Duration
		next  func(i int) []byte
	}{
		"a ping a second":      {bridge.ConnOptions{MessagesPerSecond: 1}, time.Second, floods["pings"]},
		"ten a second":         {bridge.ConnOptions{MessagesPerSecond: 1}, 100 * time.Millisecond, floods["pings"]},
		"a hundred a second":   {bridge.ConnOptions{}, 10 * time.Millisecond, floods["pongs"]},
		"off":                  {bridge.ConnOptions{FramesPerSecond: bridge.Off}, 0, floods["pings"]},
		"large parts":          {bridge.ConnOptions{MaxMessageBytes: bridge.Off, FramesPerSecond: 1}, 0, func(i int) []byte { return frame(false, first(i, text0), 256) }},
		"messages":             {bridge.ConnOptions{FramesPerSecond: 1}, 0, func(int) []byte { return frame(true, text0, 3) }},
		"empty messages":       {bridge.ConnOptions{FramesPerSecond: 1}, 0, func(int) []byte { return frame(true, text0, 0) }},
		"long messages":        {bridge.ConnOptions{FramesPerSecond: 1}, 0, func(int) []byte { return frame(true, text0, 60_000) }},
		"a long one in 2 KiBs": {bridge.ConnOptions{FramesPerSecond: 1}, 0, func(i int) []byte { return frame(i%30 == 29, first(i%30, binary0), 2<<10) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 3000
				read := func(ctx context.Context, conn *bridge.Conn) error {
					for {
						if _, _, err := conn.Read(ctx); err != nil {
							return err
						}
					}
				}
				code, sent := pour(t, c.opts, read, c.every, n, c.next)
				require.Equal(t, n, sent)
				require.Equal(t, -1, code, "the client has gone")
			})
		})
	}
}

// Frames arrive in pieces of any size, and together with the handshake.
func TestFramesAreCountedHoweverTheyArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for size := 1; size < 40; size += 3 {
			a := testkit.NewApp(t, livestore.New(), nil)
			got := make(chan int, 100)
			a.Mux.Handle("/pieces", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
				for {
					_, data, err := c.Read(ctx)
					if err != nil {
						return err
					}
					got <- len(data)
				}
			}, &bridge.ConnOptions{FramesPerSecond: 1}))
			ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
			stream := []byte("GET /pieces HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
			for _, f := range [][]byte{frame(true, text0, 5), frame(true, ping0, 2), frame(true, binary0, 300), frame(false, text0, 300), frame(true, ping0, 0), frame(true, more, 7)} {
				stream = append(stream, f...)
			}
			conn, err := a.ServeInMemory(t).Dial(t.Context(), "", "")
			require.NoError(t, err)
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			for len(stream) > 0 {
				n := min(size*size, len(stream))
				require.True(t, write(conn, stream[:n]))
				stream = stream[n:]
			}
			require.Equal(t, []int{5, 300, 307}, []int{<-got, <-got, <-got})
			require.Empty(t, ended.Rest())
			for range 2 { // 3 of 5
				require.True(t, write(conn, frame(true, ping0, 0)))
			}
			_ = write(conn, frame(true, ping0, 0))
			require.Equal(t, bridge.CodePolicy, ended.Next().Code)
		}
	})
}

// A message that never ends is no activity: the connection ends as if the client were silent.
func TestS13_AMessageThatNeverEndsIsNoActivity(t *testing.T) {
	for name, fn := range map[string]func(context.Context, *bridge.Conn) error{"read": testkit.Converse, "not read": testkit.PushOnly} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				a := testkit.NewApp(t, livestore.New(), nil)
				a.Mux.Handle("/slow", a.WebSocket(fn, &bridge.ConnOptions{IdleTimeout: time.Minute}))
				ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
				conn := webclient.Handshake(t, a.ServeInMemory(t), "/slow")
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				for i := 0; write(conn, frame(false, first(i, text0), 1)); i++ {
					time.Sleep(5 * time.Second)
				}
				require.Equal(t, bridge.CodeIdle, ended.Next().Code)
				require.Less(t, time.Since(start), 70*time.Second)
			})
		})
	}
}

// A request that can't be upgraded gets an error, unless something has been sent.
func TestHandshakeUnderAWriterThatCannotBeHijacked(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, webclient.Serve(t, http.TimeoutHandler(a.Handler(a.Mux), time.Minute, "late")))
	_, res, err := br.TryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusNotImplemented, res.StatusCode)
}
