package webclient

import (
	"strings"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// KeptProtocol is the subprotocol of a client that keeps its place among kept messages.
const KeptProtocol = "sessionbridge.kept"

// KeptSocket is a Socket of a client that keeps its place.
type KeptSocket struct {
	*Socket
	Position string // the last one
}

// DialKept opens a WebSocket as a client that has this position, "" at first.
func (br *Browser) DialKept(path, position string) *KeptSocket {
	br.T.Helper()
	s, err := br.TryDialKept(path, position)
	require.NoError(br.T, err)
	return s
}

// TryDialKept is DialKept, and returns an error.
func (br *Browser) TryDialKept(path, position string) (*KeptSocket, error) {
	offer := KeptProtocol
	if position != "" {
		offer += "." + position
	}
	s, _, err := br.dial(path, &websocket.DialOptions{Subprotocols: []string{"sessionbridge", offer}})
	if err != nil {
		return nil, err
	}
	return &KeptSocket{s, position}, nil
}

// Next returns the next message; of a frame, "ready", "gone", or the message after "kept: ". It
// remembers the position.
func (s *KeptSocket) Next() string {
	s.T.Helper()
	text, err := s.TryNext()
	require.NoError(s.T, err)
	return text
}

// TryNext is Next, and returns an error.
func (s *KeptSocket) TryNext() (string, error) {
	text, err := s.TryHear()
	frame, is := strings.CutPrefix(text, "\x1e")
	if !is || err != nil {
		return text, err
	}
	header, payload, ended := strings.Cut(frame, "\n")
	position, kind, _ := strings.Cut(header, " ")
	switch {
	case !ended:
		return "a header without an end: " + text, nil
	case header == "":
		return payload, nil
	}
	s.Position = position
	if kind != "" {
		return kind + payload, nil
	}
	return "kept: " + payload, nil
}

// Expect fails unless these come next.
func (s *KeptSocket) Expect(next ...string) {
	s.T.Helper()
	for _, want := range next {
		require.Equal(s.T, want, s.Next())
	}
}

// Cut ends the connection without a close frame, and returns the position.
func (s *KeptSocket) Cut() string {
	_ = s.Conn.CloseNow()
	return s.Position
}
