package bridge_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A client that goes away without a close frame is gone, also when it is a write that finds out,
// whatever the handler makes of its error. It is nothing to be logged either.
func TestConnWhoseWriteFindsTheClientGoneHasNoCloseCode(t *testing.T) {
	for name, forgiving := range map[string]bool{"the handler returns the error": false, "the handler returns nil": true} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			left := make(chan struct{})
			a.Mux.Handle("/writes", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
				<-left
				for {
					if err := c.Write(ctx, websocket.MessageText, []byte("anybody there?")); err != nil {
						if forgiving {
							err = nil
						}
						return err
					}
				}
			}, nil))
			closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
			ws, _, err := websocket.Dial(t.Context(), webclient.NewBrowser(t, a.Serve(t)).Base.String()+"/writes", nil)
			require.NoError(t, err)
			require.NoError(t, ws.CloseNow())
			close(left)
			require.Equal(t, -1, closes.Next().Code)
			require.NoError(t, a.Shutdown(t.Context()))
			require.NotContains(t, log.String(), "handler's error")
		})
	}
}

// A handler can find its session gone before the Bridge has come to closing its connection, which
// can take a moment if there are many. It is closed with the session's end all the same.
func TestHandlerThatIsFasterThanTheCloseIsClosedWithTheSessionsEnd(t *testing.T) {
	var ws *webclient.Socket
	codes := make(chan int, 1)
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: slog.New(atLine("session ended", func() { // logged when it is gone, and its sockets aren't being closed yet
		ws.Say("inc")
		codes <- ws.Closed()
	}))})
	a.Mux.Handle("/strict", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			if _, err := bridge.WithSession(ctx, c, testkit.Increment, nil); err != nil {
				return err
			}
		}
	}, nil))
	closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws = br.Dial("/strict")
	br.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, await.Receive(t, codes))
	require.Equal(t, bridge.CodeDestroyed, closes.Next().Code)
}

// lineHandler calls do when a line with the message is logged, before whoever logs it goes on.
type lineHandler struct {
	slog.Handler
	message string
	do      func()
}

func atLine(message string, do func()) lineHandler {
	return lineHandler{slog.DiscardHandler, message, do}
}

// Enabled implements slog.Handler.
func (lineHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h lineHandler) Handle(_ context.Context, line slog.Record) error {
	if line.Message == h.message {
		h.do()
	}
	return nil
}

func TestCallerThatGivesUpIsNoErrorOfTheStore(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.GetByID(ctx, br.OK("/id"))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, a.Stats().StoreErrors)
}
