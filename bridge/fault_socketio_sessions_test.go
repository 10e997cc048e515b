package bridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// What socket.io-sessions gets wrong, and this must not.

func TestFaultSaveAtDisconnectRecreatesADestroyedSession(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, &bridge.Options{OnSessionEnd: bridge.KeepConns}) // so that the function goes on
	h := newHolder(t, a, nil)
	id := h.s.ID()
	h.s.Set("late", true)
	was, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was)
	require.Equal(t, bridge.CodeDestroyed, h.finish(errors.New("read: closed")).Code)
	require.ErrorIs(t, context.Cause(h.ctx), bridge.ErrSessionGone)
	_, err = st.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Zero(t, storedCount(t, st))
}

func TestFaultSaveAtDisconnectOverwritesNewerWritesOverHTTP(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	a.session("/theme", func(s *bridge.Session) (any, error) { s.Set("theme", "dark"); s.Delete("old"); return "set", nil })
	a.session("/old", func(s *bridge.Session) (any, error) { s.Set("old", 1); s.Set("theme", "light"); return "set", nil })
	h := newHolder(t, a, func(br *browser) { br.ok("/old") })
	require.Equal(t, "light", h.value("theme"))
	h.s.Set("draft", "text")
	h.br.ok("/theme")
	require.Equal(t, 1000, h.finish(nil).Code)
	require.JSONEq(t, `{"n":1,"theme":"dark","draft":"text"}`, string(stored(t, st, h.s.ID()).Data))
}

func TestFaultMessagesOfOneConnectionRace(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	var last int // the race detector watches it, too
	_, ws := messages(t, a, nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		n, _ := count.Get(s)
		if last++; n != last {
			return errors.New("another message came in between")
		}
		count.Set(s, n+1)
		return msg.ReplyJSON(n)
	})
	for range 200 {
		ws.say("x")
	}
	for i := range 200 {
		require.Equal(t, i+1, atoi(t, ws.hear()))
	}
}

func TestFaultRepeatedHandshakesAddListeners(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/messages", a.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		return msg.Reply(msg.Data)
	}, nil))
	a.mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		for {
			_, _, err := c.Read(ctx)
			if err != nil {
				return err
			}
			n, _ := count.Get(s)
			if err := c.WriteJSON(ctx, n); err != nil {
				return err
			}
		}
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	deadlines := a.Deadlines()
	for range 50 {
		for _, path := range []string{"/messages", "/held"} {
			ws := br.dial(path)
			require.Equal(t, "1", ws.ask("1"))
			require.NoError(t, ws.ws.Close(websocket.StatusNormalClosure, ""))
		}
	}
	require.Eventually(t, func() bool {
		return a.Stats().Conns == 0 && a.Deadlines() <= deadlines && bridgeGoroutines() == 1
	}, patience, time.Millisecond, "goroutines: %d, deadlines: %d", bridgeGoroutines(), a.Deadlines())
}

func TestFaultNullPayloadThrows(t *testing.T) {
	opts := &bridge.ConnOptions{OnMessageError: func(ctx context.Context, c *bridge.Conn, err error) error {
		return c.WriteJSON(ctx, "not understood")
	}}
	_, ws := messages(t, makeApp(t, livestore.New(), nil), opts, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
		var order struct{ What *string }
		if err := msg.Decode(&order); err != nil {
			return err
		}
		return msg.ReplyJSON(order.What)
	})
	for payload, answer := range map[string]string{
		"null": "null", `{"What":null}`: "null", `{"What":"tea"}`: `"tea"`,
		"": `"not understood"`, "nonsense": `"not understood"`, "[]": `"not understood"`, "{": `"not understood"`, "\x00": `"not understood"`,
	} {
		require.Equal(t, answer, ws.ask(payload), "%q", payload)
	}
	require.Error(t, bridge.Message{Data: []byte("1")}.Decode(nil))
	require.Error(t, bridge.Message{}.Decode(new(int)))
}
