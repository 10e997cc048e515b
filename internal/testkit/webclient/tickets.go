package webclient

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// DialOffering opens a WebSocket that offers subprotocols, as scripts of pages do. The server may
// choose only one of those in may.
func (br *Browser) DialOffering(path string, may []string, offers ...string) (*Socket, *http.Response, error) {
	br.T.Helper()
	s, res, err := br.dial(path, &websocket.DialOptions{Subprotocols: offers})
	if res != nil {
		answer := res.Header["Sec-Websocket-Protocol"]
		for _, name := range answer {
			require.Contains(br.T, may, name)
		}
		require.LessOrEqual(br.T, len(answer), 1)
	}
	return s, res, err
}

// DialTicket opens a WebSocket with a ticket.
func (br *Browser) DialTicket(path, ticket string) (*Socket, *http.Response, error) {
	br.T.Helper()
	return br.DialOffering(path, []string{"sessionbridge"}, "sessionbridge", "sessionbridge.ticket."+ticket)
}

// RequireRefused requires that the ticket opens no WebSocket.
func (br *Browser) RequireRefused(ticket string, why ...any) {
	br.T.Helper()
	_, res, err := br.DialTicket("/ws", ticket)
	require.Error(br.T, err, why...)
	require.Equal(br.T, http.StatusUnauthorized, res.StatusCode, why...)
	require.Empty(br.T, res.Header["Set-Cookie"], why...)
}

// LoginTicket asks the application for a login ticket of a user; with "" for one that rotates.
func (s *Socket) LoginTicket(user string) string {
	s.T.Helper()
	ticket := strings.Trim(s.Ask(user), `"`)
	require.Len(s.T, ticket, 43)
	return ticket
}
