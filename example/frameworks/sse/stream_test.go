package sse_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/example/frameworks/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A page that comes back after a logout has missed the end of its session: it is told by the stream.
func TestStreamWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, b.Handler(sse.Handler(b)))
		res, err := c.HTTP.Do(c.NewRequest(http.MethodGet, "/", nil))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), "event: close\ndata: 4502 no session\n\n")
	})
}

// A stream sends events of any text, and nothing after its handler has returned.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		streams := make(chan *sse.Stream, 1)
		c := bridgetest.NewClient(t, b, b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := sse.Open(b, w, r)
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			streams <- s
			s.Serve(r.Context())
		})))
		res, err := c.HTTP.Do(c.NewRequest(http.MethodGet, "/", nil))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		s := <-streams
		lines := bufio.NewReader(res.Body)
		expect := func(want string) {
			t.Helper()
			text := make([]byte, len(want))
			_, err := io.ReadFull(lines, text)
			require.NoError(t, err)
			require.Equal(t, want, string(text))
		}
		expect("event: open\ndata: " + s.Link().ID() + "\n\n")
		sent := make(chan error, 1)
		go func() { sent <- s.Send("note", "one\ntwo\r\nthree\rfour") }() // the connection holds nothing back
		expect("event: note\ndata: one\ndata: two\ndata: three\ndata: four\n\n")
		require.NoError(t, <-sent)
		_, err = b.NotifyBinary(t.Context(), bridge.To{All: true}, []byte{1, 2})
		require.NoError(t, err)
		expect("event: binary\ndata: AQI=\n\n")
		_, err = b.CloseConn(t.Context(), s.Link().ID(), 4100, "enough")
		require.NoError(t, err)
		expect("event: reconnect\ndata: 4100 enough\n\n")
		_, err = lines.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		synctest.Wait()
		require.ErrorIs(t, s.Send("late", ""), net.ErrClosed)
	})
}
