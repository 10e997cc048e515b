package bridgetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

func TestSessionForAFunction(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		s := bridgetest.Session(t, map[string]any{"n": 7, "list": []string{"a"}})
		require.False(t, s.IsNew())
		n, _ := s.Get("n")
		require.EqualValues(t, 7, n)
		s.Set("n", 8)
		n, _ = s.Get("n")
		require.EqualValues(t, 8, n)
		require.NoError(t, s.Login("ada"))
		require.Equal(t, "ada", s.UserID())
		s.Destroy()
		require.ErrorIs(t, s.Err(), bridge.ErrSessionGone)

		require.True(t, bridgetest.Session(t, nil).IsNew())
	})
}

func TestSessionThatCantBeStoredFailsTheTest(t *testing.T) {
	failures, _ := fails(t, func(t testing.TB) { bridgetest.Session(t, map[string]any{"k": func() {}}) })
	require.Contains(t, failures, `"k"`)
	failures, _ = fails(t, func(t testing.TB) { bridgetest.Session(t, nil).Set("k", strings.Repeat("x", 1<<20)) })
	require.Contains(t, failures, "store the changes of the session")
}

func TestConnForAHandler(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		ctx, conn, client := bridgetest.Conn(t, map[string]any{"n": 7})
		greet := func(ctx context.Context, c *bridge.Conn) error {
			_, name, err := c.Read(ctx)
			if err != nil {
				return err
			}
			return c.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
				n, _ := s.Get("n")
				return c.WriteJSON(ctx, []any{string(name), n})
			}, nil)
		}
		client.Write("ada")
		require.NoError(t, greet(ctx, conn))
		require.JSONEq(t, `["ada",7]`, client.Read())
		id, _ := bridge.SessionIDFrom(ctx)
		require.Equal(t, conn.SessionID(), id)

		client.Close()
		<-ctx.Done()
	})
}

func TestConnWithoutSession(t *testing.T) {
	ctx, conn, client := bridgetest.Conn(t, nil)
	require.Empty(t, conn.SessionID())
	require.ErrorIs(t, conn.WithSession(ctx, func(context.Context, *bridge.Session) error { return nil }, nil),
		bridge.ErrSessionMissing)
	require.NoError(t, conn.Close(4000, "bye"))
	require.Equal(t, "bye", client.ExpectClose(4000))
}

// A function of Messages gets what it gets in the application, and its replies can be read.
func TestHandle(t *testing.T) {
	item := bridge.NewKey[string]("item")
	onMessage := func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		switch string(msg.Data) {
		case "out":
			s.Logout()
			return msg.Reply([]byte("bye"))
		case "fail":
			return errors.Join(msg.ReplyJSON("never sent"), errFunction)
		case "encode":
			s.Set("item", func() {})
			return nil
		case "close":
			return c.Close(4000, "closed")
		}
		was, _ := item.Get(s)
		item.Set(s, string(msg.Data))
		return errors.Join(
			c.WriteJSON(ctx, c.SessionID() == s.ID()),
			msg.Notify(bridge.To{SessionID: s.ID()}, []byte("notice")), msg.Reply([]byte(was)), msg.ReplyJSON(msg.Type.String()),
		)
	}
	everywhere(t, func(t *testing.T) {
		handle := func(values map[string]any, text string) bridgetest.Handled {
			return bridgetest.Handle(t, onMessage, values, websocket.MessageText, []byte(text))
		}
		h := bridgetest.Handle(t, onMessage, map[string]any{"item": "tea"}, websocket.MessageBinary, []byte("mate"))
		require.NoError(t, h.Err)
		require.Equal(t, []string{"true", "tea", `"MessageBinary"`, "notice"}, h.Sent)
		got, _ := item.Get(h.Session)
		require.Equal(t, "mate", got)
		require.Equal(t, []string{"true", "", `"MessageText"`, "notice"}, handle(nil, "mate").Sent)

		h = handle(map[string]any{"item": "tea"}, "out")
		require.NoError(t, h.Err)
		require.Equal(t, []string{"bye"}, h.Sent)
		require.Nil(t, h.Session)

		h = handle(map[string]any{"item": "tea"}, "fail")
		require.ErrorIs(t, h.Err, errFunction)
		require.Empty(t, h.Sent)
		got, _ = item.Get(h.Session)
		require.Equal(t, "tea", got)

		var value *bridge.ValueError
		require.ErrorAs(t, handle(nil, "encode").Err, &value)
		require.NoError(t, handle(nil, "close").Err)
	})
	failures, _ := fails(t, func(t testing.TB) {
		bridgetest.Handle(t, func(context.Context, *bridge.Conn, bridge.Message, *bridge.Session) error {
			panic("in the application")
		},
			nil, websocket.MessageText, nil)
	})
	require.Contains(t, failures, "the function for the message has panicked")
}

var errFunction = errors.New("the function has failed")
