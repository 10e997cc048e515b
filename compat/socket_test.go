package compat_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// socket is the browser's end of a WebSocket.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

// tryDial opens a WebSocket with the browser's cookies, and takes the cookies of the answer.
func (br *browser) tryDial(path string) (*socket, *http.Response, error) {
	ctx, cancel := context.WithTimeout(br.t.Context(), patience)
	defer cancel()
	client := *br.client
	client.Timeout = 0 // it would count for the connection's life
	ws, res, err := websocket.Dial(ctx, br.base.String()+path, &websocket.DialOptions{HTTPClient: &client})
	if err != nil {
		return nil, res, err
	}
	br.t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{br.t, ws}, res, nil
}

func (br *browser) dial(path string) (*socket, *http.Response) {
	br.t.Helper()
	s, res, err := br.tryDial(path)
	require.NoError(br.t, err)
	return s, res
}

// ask sends a message and returns the next one.
func (s *socket) ask(text string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.ws.Write(ctx, websocket.MessageText, []byte(text)))
	_, data, err := s.ws.Read(ctx)
	require.NoError(s.t, err)
	return string(data)
}

// closed waits for the close frame and returns its code.
func (s *socket) closed() int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, _, err := s.ws.Read(ctx)
	require.Error(s.t, err, "a message instead of a close frame")
	return int(websocket.CloseStatus(err))
}
