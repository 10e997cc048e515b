package apiclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/apiclient"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// client returns a client of an API whose answers are of the media type.
func client(t *testing.T, media string, h http.HandlerFunc) *apiclient.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	c, err := apiclient.New(srv.URL+"/", "main", "secret")
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestCall(t *testing.T) {
	c := client(t, "application/json", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, `{"got":["%s %s", %q, %q, %s]}`+"\n", r.Method, r.URL, r.Header["Authorization"], r.Header["Content-Type"], body)
	})
	answer, err := c.Call(t.Context(), apiclient.Request{
		Method: http.MethodPost, Path: "/sessions", Query: url.Values{"q": {"a b"}}, Body: map[string]int{"n": 1}, Member: "got",
	})
	require.NoError(t, err)
	require.Equal(t, `{"got":["POST /v1/main/sessions?q=a+b", ["Bearer secret"], ["application/json"], {"n":1}]}`, string(answer))
}

func TestErrorsOfTheAPI(t *testing.T) {
	c := client(t, "application/problem+json", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/main/moved" {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"title":"Not Found","status":404,"detail":"There is no such session."}`)
	})
	var failed *apiclient.Error
	_, err := c.Call(t.Context(), apiclient.Request{Method: http.MethodGet, Path: "/x"})
	require.ErrorAs(t, err, &failed)
	require.Equal(t, apiclient.Error{Status: 404, Detail: "There is no such session."}, *failed)
	_, err = c.Call(t.Context(), apiclient.Request{Method: http.MethodGet, Path: "/moved"})
	require.ErrorAs(t, err, &failed, "the key is for one server only")
	require.Equal(t, 302, failed.Status)
	require.ErrorContains(t, err, "status 302")
}

func TestServerThatIsAway(t *testing.T) {
	c, err := apiclient.New("http://127.0.0.1:1", "main", "")
	require.NoError(t, err)
	_, err = c.Call(t.Context(), apiclient.Request{Method: http.MethodGet, Path: "/ping"})
	require.ErrorIs(t, err, apiclient.ErrUnavailable)
	err = c.Events(t.Context(), nil, func(json.RawMessage) error { return nil })
	require.ErrorIs(t, err, apiclient.ErrUnavailable)
}

func TestURLsThatAreInvalid(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:7070", "ftp://h", "http://", "http://user:pw@h", "http://h?x", "http://%"} {
		_, err := apiclient.New(base, "main", "")
		require.ErrorIs(t, err, apiclient.ErrURL, base)
	}
}

func TestList(t *testing.T) {
	stop := errors.New("stop")
	for name, c := range map[string]struct {
		answer string
		want   []string
		err    error
	}{
		"all":              {`{"sessions":[{"id":1},{"id":2}],"complete":true}`, []string{`{"id":1}`, `{"id":2}`}, nil},
		"none":             {`{"sessions":[]}`, nil, nil},
		"other members":    {`{"next":"x","more":{"a":[1]},"sessions":[3],"complete":true}`, []string{"3"}, nil},
		"a node is silent": {`{"sessions":[3],"complete":false}`, []string{"3"}, apiclient.ErrIncomplete},
		"broken off":       {`{"sessions":[1,`, []string{"1"}, apiclient.ErrUnavailable},
		"broken before":    {`{"sessions":`, nil, apiclient.ErrUnavailable},
		"no object":        {`[]`, nil, apiclient.ErrUnavailable},
		"no list":          {`{"sessions":{}}`, nil, apiclient.ErrUnavailable},
		"another list":     {`{"conns":[1]}`, nil, apiclient.ErrNotAPI},
		"stopped":          {`{"sessions":["stop",4]}`, []string{`"stop"`}, stop},
	} {
		t.Run(name, func(t *testing.T) {
			api := client(t, "application/json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.answer) })
			var got []string
			err := api.List(t.Context(), apiclient.Request{Method: http.MethodGet, Path: "/s"}, "sessions", func(raw json.RawMessage) error {
				got = append(got, string(raw))
				if string(raw) == `"stop"` {
					return stop
				}
				return nil
			})
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
		})
	}
}

// A stream that breaks goes on where it was, until the context ends.
func TestEventsGoOn(t *testing.T) {
	lasts := make(chan string, 3)
	c := client(t, "text/event-stream", func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get("Last-Event-ID")
		lasts <- last
		_, _ = fmt.Fprintf(w, "retry: 100\n\n: beat\n\nid: x-%d\nevent: e\ndata: {\"after\":%q}\n\n", len(last), last)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := c.Events(ctx, url.Values{"type": {"e"}}, func(event json.RawMessage) error {
		if got = append(got, string(event)); len(got) == 2 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{`{"after":""}`, `{"after":"x-0"}`}, got)
	require.Empty(t, await.Receive(t, lasts))
	require.Equal(t, "x-0", await.Receive(t, lasts))
}

func TestEventsEndWithAnErrorOfTheFunctionOrTheAPI(t *testing.T) {
	c := client(t, "text/event-stream", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("type") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "data: {}\n\n")
	})
	broken := errors.New("broken")
	fn := func(json.RawMessage) error { return broken }
	require.ErrorIs(t, c.Events(t.Context(), url.Values{"type": {"x"}}, fn), broken)
	var failed *apiclient.Error
	require.ErrorAs(t, c.Events(t.Context(), nil, fn), &failed)
	require.Equal(t, 401, failed.Status)
}
