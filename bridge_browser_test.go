package sessionbridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// browser is a client with a cookie jar. Its methods report what fails with t.Errorf, so that other goroutines may call them.
type browser struct {
	t      *testing.T
	url    string
	client *http.Client
}

func newBrowser(t *testing.T, a *app) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := a.server.Client() // which trusts the server's certificate
	return &browser{t, a.server.URL, &http.Client{Jar: jar, Transport: client.Transport}}
}

// at returns the browser, at another address of the application: a cookie is the host's, whatever the port.
func (br *browser) at(a *app) *browser {
	return &browser{br.t, a.server.URL, &http.Client{Jar: br.client.Jar, Transport: a.server.Client().Transport}}
}

// another returns a browser with a copy of the cookies.
func (br *browser) another() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(br.t, err)
	at, err := url.Parse(br.url)
	require.NoError(br.t, err)
	jar.SetCookies(at, br.client.Jar.Cookies(at))
	return &browser{br.t, br.url, &http.Client{Jar: jar, Transport: br.client.Transport}}
}

// get returns a page, which must come with 200.
func (br *browser) get(path string) string {
	body, err := br.try(path)
	if err != nil {
		br.t.Errorf("GET %s: %v", path, err)
	}
	return body
}

func (br *browser) try(path string) (string, error) {
	res, err := br.do(path)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}

// do returns the response as it begins.
func (br *browser) do(path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(br.t.Context(), http.MethodGet, br.url+path, nil)
	if err != nil {
		return nil, err
	}
	return br.client.Do(r)
}

// cookie returns the value of a cookie in the jar, "" for none.
func (br *browser) cookie(name string) string {
	at, err := url.Parse(br.url)
	require.NoError(br.t, err)
	for _, c := range br.client.Jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// socket is the browser's end of a WebSocket.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

func (br *browser) dial() *socket {
	br.t.Helper()
	ws, _, err := websocket.Dial(br.t.Context(), br.url+"/socket", &websocket.DialOptions{HTTPClient: br.client})
	require.NoError(br.t, err)
	br.t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{br.t, ws}
}

func (s *socket) say(text string) {
	if err := s.trySay(text); err != nil {
		s.t.Errorf("say %s: %v", text, err)
	}
}

func (s *socket) hear() string {
	text, err := s.tryHear()
	if err != nil {
		s.t.Errorf("hear: %v", err)
	}
	return text
}

// ask sends a message and returns the next one.
func (s *socket) ask(text string) string {
	s.say(text)
	return s.hear()
}

func (s *socket) trySay(text string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return s.ws.Write(ctx, websocket.MessageText, []byte(text))
}

func (s *socket) tryHear() (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, data, err := s.ws.Read(ctx)
	return string(data), err
}

// refused sends a message that the session isn't there for any more, and returns the code that the socket is closed with:
// after the answer, or in its place.
func (s *socket) refused(text string) int {
	s.t.Helper()
	s.say(text)
	reply, err := s.tryHear()
	if err != nil {
		return int(websocket.CloseStatus(err))
	}
	require.Equal(s.t, "no session", reply)
	return s.closed()
}

// leave closes the socket, as a tab that is closed does.
func (s *socket) leave() { require.NoError(s.t, s.ws.Close(websocket.StatusGoingAway, "")) }

// closed waits for the close frame and returns its code; -1 when the connection ended without one.
func (s *socket) closed() int {
	s.t.Helper()
	for {
		_, err := s.tryHear()
		if err != nil {
			require.False(s.t, errors.Is(err, context.DeadlineExceeded), "the connection is still open")
			return int(websocket.CloseStatus(err))
		}
	}
}
