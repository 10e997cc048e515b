package jsclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/jsclient"
)

var total = bridge.NewKey[int]("total")

// answer adds one, and then does what the message says.
func answer(_ context.Context, _ *bridge.Conn, r jsclient.Request, s *bridge.Session) (any, error) {
	n, _ := total.Get(s)
	total.Set(s, n+1)
	switch text := string(r.Data); text {
	case `"add"`:
		return n + 1, r.Reply([]byte("beside"))
	case `"refuse"`:
		return nil, fmt.Errorf("wrapped: %w", &jsclient.Error{Status: 418, Text: "a teapot"})
	case `"odd status"`:
		return nil, &jsclient.Error{Status: 200}
	case `"large"`:
		s.Set("large", strings.Repeat("x", 1<<21))
		return nil, nil
	case `"away"`:
		return nil, bridge.ErrStoreUnavailable
	case `"no JSON"`:
		return func() {}, nil
	case `"logout"`:
		s.Logout()
		return "bye", nil
	case `"gone"`:
		return nil, bridge.ErrSessionGone
	case `"fault"`:
		return nil, errors.New("internal detail")
	default:
		return nil, r.Reply([]byte("got " + text))
	}
}

// dial opens a connection of a client with a session.
func dial(t *testing.T, opts *bridge.ConnOptions) (*bridgetest.ClientConn, func() int) {
	t.Helper()
	b := bridgetest.New(t, &bridge.Options{MaxValueBytes: 1 << 20})
	client := bridgetest.NewClient(t, b, jsclient.Requests(b, answer, opts))
	client.Update(func(s *bridge.Session) error { total.Set(s, 0); return nil })
	return client.Dial("/", nil), func() (n int) {
		client.Update(func(s *bridge.Session) error { n, _ = total.Get(s); return nil })
		return n
	}
}

func TestRequestIsAnsweredAfterItsChangesAreStored(t *testing.T) {
	ws, stored := dial(t, nil)
	ws.Write("\x1fa-1_Z\n\"add\"")
	require.Equal(t, "beside", ws.Read())
	require.Equal(t, "\x1fa-1_Z 200\n1", ws.Read())
	require.Equal(t, 1, stored())
	ws.Write("hello")
	require.Equal(t, "got hello", ws.Read(), "a message without an envelope has no answer")
	ws.WriteMessage(websocket.MessageBinary, []byte("\x1fa\n1"))
	_, data := ws.ReadMessage()
	require.Equal(t, "got \x1fa\n1", string(data), "a binary message is no request")
	ws.Write("")
	require.Equal(t, "got ", ws.Read())
}

func TestRequestIsRefusedWithAStatus(t *testing.T) {
	ws, stored := dial(t, nil)
	for request, want := range map[string]string{
		`"refuse"`:     "418\na teapot",
		`"odd status"`: "500\nInternal Server Error",
		`"large"`:      "413\nRequest Entity Too Large",
		`"away"`:       "503\nService Unavailable",
	} {
		ws.Write("\x1f1\n" + request)
		require.Equal(t, "\x1f1 "+want, ws.Read())
		require.Zero(t, stored(), "nothing of it is stored")
	}
	ws.Write("\x1f2\n\"add\"")
	require.Equal(t, "beside", ws.Read(), "the connection goes on")
}

func TestRequestThatEndsTheConnection(t *testing.T) {
	for request, c := range map[string]struct {
		answer string
		code   int
	}{
		`"fault"`:   {"500\nInternal Server Error", bridge.CodeFailed},
		`"no JSON"`: {"500\nInternal Server Error", bridge.CodeFailed},
		`"gone"`:    {"401\nUnauthorized", bridge.CodeDestroyed},
	} {
		ws, _ := dial(t, nil)
		ws.Write("\x1f1\n" + request)
		require.Equal(t, "\x1f1 "+c.answer, ws.Read(), request)
		ws.ExpectClose(c.code)
	}
	ws, _ := dial(t, nil)
	ws.Write("\x1f1\n\"logout\"")
	require.Equal(t, "\x1f1 200\n\"bye\"", ws.Read())
	ws.ExpectClose(bridge.CodeDestroyed)

	ws, _ = dial(t, nil)
	ws.Write(`"refuse"`)
	ws.ExpectClose(bridge.CodeFailed)
}

func TestMalformedRequestClosesTheConnection(t *testing.T) {
	for _, frame := range []string{
		"\x1f", "\x1f\n1", "\x1fa", "\x1fa b\n1", "\x1fé\n1", "\x1f" + strings.Repeat("a", 65) + "\n1", "\x1fa\r\n1", "\x1f../\n1", "\x1f@\n1",
		"\x1f[\n1", "\x1f`\n1", "\x1f{\n1", "\x1fa:\n",
	} {
		ws, stored := dial(t, nil)
		ws.Write(frame)
		require.Equal(t, "malformed request", ws.ExpectClose(bridge.CodePolicy), "%q", frame)
		require.Zero(t, stored())
	}
	ws, _ := dial(t, nil)
	ws.Write("\x1f" + strings.Repeat("a", 64) + "\n\"add\"")
	require.Equal(t, "beside", ws.Read())
}

func TestOnMessageErrorDecidesAfterTheAnswer(t *testing.T) {
	var seen []string
	ws, _ := dial(t, &bridge.ConnOptions{OnMessageError: func(ctx context.Context, _ *bridge.Conn, err error) error {
		msg, ok := bridge.MessageFrom(ctx)
		require.True(t, ok)
		seen = append(seen, string(msg.Data))
		if strings.Contains(string(msg.Data), "refuse") {
			return err
		}
		return nil
	}})
	ws.Write("\x1f1\n\"fault\"")
	require.Equal(t, "\x1f1 500\nInternal Server Error", ws.Read())
	ws.Write("\x1f2\n\"refuse\"")
	require.Equal(t, "\x1f2 418\na teapot", ws.Read())
	ws.ExpectClose(bridge.CodeFailed)
	require.Equal(t, []string{"\x1f1\n\"fault\"", "\x1f2\n\"refuse\""}, seen)
}

func TestRequestTellsWhetherItIsAnsweredAndHidesItsContent(t *testing.T) {
	b := bridgetest.New(t, nil)
	var requests []jsclient.Request
	client := bridgetest.NewClient(t, b, jsclient.Requests(b,
		func(_ context.Context, _ *bridge.Conn, r jsclient.Request, _ *bridge.Session) (any, error) {
			requests = append(requests, r)
			var v struct{ Secret string }
			err := r.Decode(&v)
			return len(v.Secret), err
		}, nil))
	client.LogIn("ada")
	ws := client.Dial("/", nil)
	ws.Write(`{"secret":"s3cret"}`)
	ws.Write("\x1f1\n" + `{"secret":"s3cret"}`)
	require.Equal(t, "\x1f1 200\n6", ws.Read())
	require.False(t, requests[0].Answered())
	require.True(t, requests[1].Answered())
	require.Equal(t, `{"secret":"s3cret"}`, string(requests[1].Data))
	asJSON, err := json.Marshal(requests[1])
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v %s", requests[1], requests[1], requests[1], requests[1]), string(asJSON)} {
		require.NotContains(t, printed, "s3cret")
	}
}

func FuzzRequestHasAnIDAndContentOrIsMalformed(f *testing.F) {
	for _, seed := range []string{"", "x", "\x1f", "\x1f1\n1", "\x1f1 200\n1", "\x1f\n", "\x1e1\nx", "\x1f@\n1", "\x1fa\n\n"} {
		f.Add(seed)
	}
	envelope := regexp.MustCompile(`^\x1f([A-Za-z0-9_-]{1,64})\n`)
	f.Fuzz(func(t *testing.T, frame string) {
		id, content, err := jsclient.Parse(bridge.Message{Type: websocket.MessageText, Data: []byte(frame)})
		switch m := envelope.FindStringSubmatch(frame); {
		case m != nil:
			require.NoError(t, err)
			require.Equal(t, m[1], id)
			require.Equal(t, frame, m[0]+string(content))
		case strings.HasPrefix(frame, "\x1f"):
			require.Error(t, err)
		default:
			require.NoError(t, err)
			require.Empty(t, id)
			require.Equal(t, frame, string(content))
		}
	})
}
