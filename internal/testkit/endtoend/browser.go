package endtoend

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// Browser is a client with a cookie jar. Get, Ask, Say and Hear report failures with Errorf, so
// that other goroutines than the test's may call them.
type Browser struct{ *webclient.Browser }

// NewBrowser returns a browser without cookies that trusts the certificate of the server.
func NewBrowser(t *testing.T, a *App) *Browser {
	t.Helper()
	return &Browser{webclient.NewBrowserOver(t, a.Server.URL, a.Server.Client().Transport)}
}

// At returns a browser at another address that shares the jar: cookies belong to a host, whatever
// its port.
func (br *Browser) At(a *App) *Browser {
	other := &Browser{webclient.NewBrowserOver(br.T, a.Server.URL, a.Server.Client().Transport)}
	other.Client.Jar = br.Client.Jar
	return other
}

// Another returns a browser whose jar begins as a copy.
func (br *Browser) Another() *Browser { return &Browser{br.Browser.Another()} }

// ForgetSession removes the session cookie.
func (br *Browser) ForgetSession() { br.SetCookie("sid", "") }

// Get returns the body of a page, which must be answered with 200.
func (br *Browser) Get(path string) string {
	body, err := br.Try(path)
	if err != nil {
		br.T.Errorf("GET %s: %v", path, err)
	}
	return body
}

// Try returns the body of a page. Another status than 200 is an error.
func (br *Browser) Try(path string) (string, error) {
	rep, err := br.Browser.Try(br.T.Context(), path)
	if err == nil && rep.Status != http.StatusOK {
		err = fmt.Errorf("%d: %s", rep.Status, rep.Body)
	}
	return rep.Body, err
}

// Do returns a response whose body is not read.
func (br *Browser) Do(path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(br.T.Context(), http.MethodGet, br.Base.String()+path, nil)
	if err != nil {
		return nil, err
	}
	return br.Client.Do(r)
}

// Socket is the client's end of a WebSocket.
type Socket struct{ *webclient.Socket }

// Dial opens a WebSocket at /socket.
func (br *Browser) Dial() *Socket {
	br.T.Helper()
	return &Socket{br.Browser.Dial("/socket")}
}

// Say sends a message.
func (s *Socket) Say(text string) {
	if err := s.TrySay(text); err != nil {
		s.T.Errorf("say %s: %v", text, err)
	}
}

// Hear returns the next message.
func (s *Socket) Hear() string {
	text, err := s.TryHear()
	if err != nil {
		s.T.Errorf("hear: %v", err)
	}
	return text
}

// Ask sends a message and returns the next one.
func (s *Socket) Ask(text string) string {
	s.Say(text)
	return s.Hear()
}

// RequireRefused sends a message whose session has ended, and returns the close code. An answer may
// come first, which must be "no session".
func (s *Socket) RequireRefused(text string) int {
	s.T.Helper()
	s.Say(text)
	reply, err := s.TryHear()
	if err != nil {
		return int(websocket.CloseStatus(err))
	}
	require.Equal(s.T, "no session", reply)
	return s.Closed()
}

// Leave closes the socket as a tab does that is closed.
func (s *Socket) Leave() { require.NoError(s.T, s.Conn.Close(websocket.StatusGoingAway, "")) }
