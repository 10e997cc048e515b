package peers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The faults of socket.io-sessions, which this library must not have.

func TestFaultSaveAtDisconnectRecreatesADestroyedSession(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{OnSessionEnd: bridge.KeepConns}) // so that the function goes on
	h := testkit.NewHolder(t, a, nil)
	id := h.Session.ID()
	h.Session.Set("late", true)
	was, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was)
	require.Equal(t, bridge.CodeDestroyed, h.Finish(errors.New("read: closed")).Code)
	require.ErrorIs(t, context.Cause(h.Context), bridge.ErrSessionGone)
	_, err = st.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestFaultSaveAtDisconnectOverwritesNewerWritesOverHTTP(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	a.SessionPage("/theme", func(s *bridge.Session) (any, error) { s.Set("theme", "dark"); s.Delete("old"); return "set", nil })
	a.SessionPage("/old", func(s *bridge.Session) (any, error) { s.Set("old", 1); s.Set("theme", "light"); return "set", nil })
	h := testkit.NewHolder(t, a, func(br *webclient.Browser) { br.OK("/old") })
	require.Equal(t, "light", h.Value("theme"))
	h.Session.Set("draft", "text")
	h.Browser.OK("/theme")
	require.Equal(t, 1000, h.Finish(nil).Code)
	require.JSONEq(t, `{"n":1,"theme":"dark","draft":"text"}`, string(teststore.Stored(t, st, h.Session.ID()).Data))
}

func TestFaultMessagesOfOneConnectionRace(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var last int // the race detector watches it, too
	_, ws := testkit.OpenMessages(t, a, nil, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		n, _ := testkit.Count.Get(s)
		if last++; n != last {
			return errors.New("another message came in between")
		}
		testkit.Count.Set(s, n+1)
		return msg.ReplyJSON(n)
	})
	for range 200 {
		ws.Say("x")
	}
	for i := range 200 {
		require.Equal(t, i+1, testkit.Atoi(t, ws.Hear()))
	}
}

func TestFaultNullPayloadThrows(t *testing.T) {
	opts := &bridge.ConnOptions{OnMessageError: func(ctx context.Context, c *bridge.Conn, err error) error {
		return c.WriteJSON(ctx, "not understood")
	}}
	_, ws := testkit.OpenMessages(t, testkit.NewApp(t, livestore.New(), nil), opts, func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
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
		require.Equal(t, answer, ws.Ask(payload), "%q", payload)
	}
	require.Error(t, bridge.Message{Data: []byte("1")}.Decode(nil))
	require.Error(t, bridge.Message{}.Decode(new(int)))
}
