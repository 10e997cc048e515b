package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var count = regexp.MustCompile(`<b id="count"[^>]*>(\d+)</b>`)

// page loads the page and returns what it shows.
func page(t *testing.T, c *bridgetest.Client) (counted, body string) {
	t.Helper()
	body = c.Get("/").Expect(http.StatusOK).Body
	match := count.FindStringSubmatch(body)
	require.NotNil(t, match, body)
	return match[1], body
}

// connection is the page's connection: a WebSocket, or a stream of events and requests.
type connection interface {
	count() string
	end(code int)
}

// Each application is used in the same way: by a guest, a user, and after the logout.
func TestApplications(t *testing.T) {
	for name, newApp := range apps {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bridgetest.New(t, nil)
				app := newApp(b)
				c, other := bridgetest.NewClient(t, b, app), bridgetest.NewClient(t, b, app)
				open := func() connection {
					if name == "htmx" {
						return listen(t, c)
					}
					return socket{c.Dial("/ws", nil)}
				}
				n, body := page(t, c)
				require.Equal(t, "1", n)
				require.Contains(t, body, "Log in")

				first := open()
				require.Equal(t, "2", first.count())
				n, _ = page(t, c)
				require.Equal(t, "3", n, "the page and the connection have one counter")
				n, _ = page(t, other)
				require.Equal(t, "1", n, "another browser has another one")

				body = c.PostForm("/login", url.Values{"user": {"ada"}}).Expect(http.StatusOK).Body
				require.Contains(t, body, "ada")
				require.Contains(t, body, ">4</b>", "the guest's counter goes on")
				first.end(bridge.CodeReconnect) // it has proved the guest's token only

				second := open()
				require.Equal(t, "5", second.count())
				body = c.PostForm("/logout", nil).Expect(http.StatusOK).Body
				second.end(bridge.CodeDestroyed)
				require.Contains(t, body, "Log in")
				require.Contains(t, body, ">1</b>", "another session")
			})
		})
	}
}

// Each framework passes on a failed commit as an error.
func TestApplicationsAnswerAnOutageWithAnError(t *testing.T) {
	for name, newApp := range apps {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			b := bridgetest.NewOver(t, st, nil)
			c := bridgetest.NewClient(t, b, newApp(b))
			page(t, c)
			require.NoError(t, st.Close())
			c.Get("/").Expect(http.StatusServiceUnavailable)
			c.PostForm("/login", url.Values{"user": {"ada"}}).Expect(http.StatusServiceUnavailable)
		})
	}
}

type socket struct{ *bridgetest.ClientConn }

func (s socket) count() string {
	s.Write("count")
	return s.Read()
}

func (s socket) end(code int) { s.ExpectClose(code) }

// stream is the page of htmx: it counts in a request, and the number comes as an event.
type stream struct {
	t      *testing.T
	client *bridgetest.Client
	lines  *bufio.Reader
}

func listen(t *testing.T, c *bridgetest.Client) stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	res, err := c.HTTP.Do(c.NewRequest(http.MethodGet, "/events", nil).WithContext(ctx))
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	s := stream{t, c, bufio.NewReader(res.Body)}
	name, _ := s.next()
	require.Equal(t, "open", name)
	return s
}

// next returns the next event.
func (s stream) next() (name, data string) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		require.NoError(s.t, err)
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data":
			data = value
		case field == "" && name != "":
			return name, data
		}
	}
}

func (s stream) count() string {
	s.client.Post("/count", "", "").Expect(http.StatusNoContent)
	name, data := s.next()
	require.Equal(s.t, "message", name)
	return data
}

func (s stream) end(code int) {
	name, data := s.next()
	require.Equal(s.t, strconv.Itoa(code), data[:4])
	require.Equal(s.t, code >= 4500, name == "close", "otherwise an EventSource would reconnect for ever")
	_, err := s.lines.ReadByte()
	require.ErrorIs(s.t, err, io.EOF)
}
