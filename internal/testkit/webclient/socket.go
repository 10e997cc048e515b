package webclient

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// Socket is the client's end of a WebSocket.
type Socket struct {
	T     testing.TB
	Conn  *websocket.Conn
	Inbox chan string // messages that Listen has read; nil without Listen
	lost  error       // why Listen ended, once Inbox is closed
}

func (br *Browser) dial(path string, opts *websocket.DialOptions) (*Socket, *http.Response, error) {
	opts.HTTPClient = br.Client
	ws, res, err := websocket.Dial(br.T.Context(), br.Base.String()+path, opts)
	if err != nil {
		return nil, res, err
	}
	br.T.Cleanup(func() { _ = ws.CloseNow() })
	return &Socket{T: br.T, Conn: ws}, res, nil
}

// Dial opens a WebSocket, which must succeed.
func (br *Browser) Dial(path string) *Socket {
	br.T.Helper()
	s, res, err := br.TryDial(path, nil)
	require.NoError(br.T, err, "dial %s: %v", path, res)
	return s
}

// TryDial opens a WebSocket with additional headers. The response is nil if there was none.
func (br *Browser) TryDial(path string, header http.Header) (*Socket, *http.Response, error) {
	return br.dial(path, &websocket.DialOptions{HTTPHeader: header})
}

// DialAs opens a WebSocket at /ws with another Host than the address that is dialed, and returns
// the status of the response.
func (br *Browser) DialAs(host string, header http.Header) (status int) {
	br.T.Helper()
	s, res, err := br.dial("/ws", &websocket.DialOptions{HTTPHeader: header, Host: host})
	require.NotNil(br.T, res, err)
	if err == nil {
		require.NoError(br.T, s.Conn.CloseNow())
	}
	return res.StatusCode
}

// Listen reads in the background from now on, as browsers do, so that pings are answered. Hear
// returns the messages.
func (s *Socket) Listen() *Socket {
	s.Inbox = make(chan string, 1024)
	ctx := context.WithoutCancel(s.T.Context())
	go func() { // ends with the connection
		defer close(s.Inbox)
		for {
			_, data, err := s.Conn.Read(ctx)
			if err != nil {
				s.lost = err
				return
			}
			s.Inbox <- string(data)
		}
	}()
	return s
}

// Read returns the next message.
func (s *Socket) Read(ctx context.Context) (string, error) {
	if s.Inbox == nil {
		_, data, err := s.Conn.Read(ctx)
		return string(data), err
	}
	select {
	case text, ok := <-s.Inbox:
		if !ok {
			return "", s.lost
		}
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// TrySay sends a text message.
func (s *Socket) TrySay(text string) error {
	ctx, cancel := context.WithTimeout(s.T.Context(), await.Limit)
	defer cancel()
	return s.Conn.Write(ctx, websocket.MessageText, []byte(text))
}

// TryHear returns the next message.
func (s *Socket) TryHear() (string, error) {
	ctx, cancel := context.WithTimeout(s.T.Context(), await.Limit)
	defer cancel()
	return s.Read(ctx)
}

// Say sends a text message.
func (s *Socket) Say(text string) {
	s.T.Helper()
	require.NoError(s.T, s.TrySay(text))
}

// Hear returns the next message, without space around it.
func (s *Socket) Hear() string {
	s.T.Helper()
	text, err := s.TryHear()
	require.NoError(s.T, err)
	return strings.TrimSpace(text)
}

// Ask sends a message and returns the next one.
func (s *Socket) Ask(text string) string {
	s.T.Helper()
	s.Say(text)
	return s.Hear()
}

// Closed discards messages until the connection ends, and returns the code of the close frame; -1
// if there was none.
func (s *Socket) Closed() int {
	s.T.Helper()
	return s.ClosedWithin(await.Limit)
}

// ClosedWithin is Closed with another limit, for synctest bubbles: the test of a close that is due
// at a time fails soon after that time.
func (s *Socket) ClosedWithin(limit time.Duration) int {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), limit)
	defer cancel()
	code := s.closed(ctx)
	require.NoError(s.T, ctx.Err(), "the connection is still open")
	return code
}

// ClosedEventually is Closed without a limit, for synctest bubbles, where every wait ends or the
// test fails.
func (s *Socket) ClosedEventually() int {
	return s.closed(context.WithoutCancel(s.T.Context()))
}

// WhenClosed is ClosedEventually in the background. On a pipe, a close frame can be sent only while
// the peer reads.
func (s *Socket) WhenClosed() <-chan int {
	code := make(chan int, 1)
	go func() { code <- s.ClosedEventually() }()
	return code
}

func (s *Socket) closed(ctx context.Context) int {
	for {
		if _, err := s.Read(ctx); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}
