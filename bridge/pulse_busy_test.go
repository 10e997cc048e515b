package bridge_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// handshake opens a WebSocket of which the test has every byte in its own hands.
func handshake(t *testing.T, s *site, path string) net.Conn {
	t.Helper()
	conn, err := s.dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		_, _ = conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"))
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.NoError(t, res.Body.Close())
	return conn
}

// A frame can't be interrupted by a pong: who uploads a large one through a thin line is alive all the same.
func TestHeartbeatLeavesAClientAloneThatIsSendingALongMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		got := make(chan int, 1)
		a.mux.Handle("/upload", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			_, data, err := c.Read(ctx)
			got <- len(data)
			return err
		}, nil))
		conn := handshake(t, a.serveInMemory(t), "/upload")
		go func() { // pings, which it can't answer now
			for p := make([]byte, 64); ; {
				if _, err := conn.Read(p); err != nil {
					return
				}
			}
		}()
		const size = 60_000
		_, err := conn.Write([]byte{0x82, 0xfe, size >> 8, size & 0xff, 0, 0, 0, 0})
		require.NoError(t, err)
		for range 60 { // seconds
			time.Sleep(time.Second)
			_, err := conn.Write(make([]byte, size/60))
			require.NoError(t, err)
		}
		require.Equal(t, size, <-got)
	})
}

// Nor does a peer that has gone stay because there is no room for the ping.
func TestS13_HeartbeatCutsAPeerThatIsGoneWhoseBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		ended := record[bridge.ConnClose](t, a.Bridge)
		a.mux.Handle("/full", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			go func() { _ = c.Write(ctx, websocket.MessageText, []byte("nobody takes it")) }()
			_, _, err := c.Read(ctx)
			return err
		}, &bridge.ConnOptions{WriteTimeout: bridge.Off}))
		start := time.Now()
		newBrowser(t, a.serveInMemory(t)).dial("/full")
		time.Sleep(42 * time.Second)
		synctest.Wait()
		require.Empty(t, conns(t, a.Bridge, bridge.ConnFilter{}), "30 s of silence, 10 s for the ping")
		require.Equal(t, -1, ended.next().Code)
		require.LessOrEqual(t, time.Since(start), 42*time.Second)
	})
}
