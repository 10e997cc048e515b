package guarantees_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The close functions of Attach are the application's, and may hang: neither the closing of other
// connections nor the Bridge's own work waits for them.
func TestG12_NobodyCanStallIt_HangingCloseFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		hang := make(chan struct{})
		hanging := make(chan struct{}, 1500)
		a.Page("/attach", func(r *http.Request) (any, error) {
			for range cap(hanging) {
				if _, err := a.Attach(r, func(int, string) { hanging <- struct{}{}; <-hang }); err != nil {
					return nil, err
				}
			}
			return "attached", nil
		})
		site := a.ServeInMemory(t)
		stuck, br, expired := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
		for _, b := range []*webclient.Browser{stuck, br, expired} {
			b.OK("/inc")
		}
		stuck.OK("/attach")
		ws, idler := br.Dial("/ws"), expired.Dial("/ws")
		ws.Ask("id")
		idler.Ask("id")
		stuck.OK("/logout")
		synctest.Wait()
		require.Len(t, hanging, cap(hanging), "all of them hang")

		start := time.Now()
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, ws.ClosedEventually())
		require.Zero(t, time.Since(start))
		require.Equal(t, bridge.CodeExpired, idler.ClosedEventually())
		require.LessOrEqual(t, time.Since(start), testkit.Idle+testkit.Touch+time.Second)
		close(hang)
	})
}

func TestAttachFromAForeignOriginIsRefused(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{OriginPatterns: []string{"*.friend.example"}})
	result := a.AttachPage("/attach")
	opened := testkit.Record[bridge.ConnOpen](t, a.Bridge)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for _, origin := range []string{"https://evil.example", "https://friend.example.evil.example", "null"} {
		require.Equal(t, http.StatusForbidden, br.Get("/attach", "Origin", origin).Status, origin)
		require.ErrorIs(t, await.Receive(t, result), bridge.ErrOrigin)
		require.Equal(t, bridge.CodePolicy, bridge.CloseCode(bridge.ErrOrigin))
	}
	require.Empty(t, opened.Rest())
	for _, origin := range []string{"https://www.friend.example", br.Base.String()} {
		require.Equal(t, http.StatusOK, br.Get("/attach", "Origin", origin).Status, origin)
		require.NoError(t, await.Receive(t, result))
	}
	require.Len(t, opened.Rest(), 2)
}

func TestCloseMissingDoesNotRunTheHandler(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	ran := make(chan struct{}, 2)
	a.Mux.Handle("/members", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		ran <- struct{}{}
		return readOn(ctx, c)
	}, &bridge.ConnOptions{OnMissing: bridge.CloseMissing}))
	br := webclient.NewBrowser(t, a.Serve(t))
	require.Equal(t, bridge.CodeNoSession, br.Dial("/members").Closed())
	require.Empty(t, ran)
	br.OK("/inc")
	br.Dial("/members")
	await.Receive(t, ran)
}

// Compression can leak secrets (CRIME), and costs memory for each connection: it is used only on
// request.
func TestS14_NoCompressionIsNegotiatedByDefault(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/compressed", a.WebSocket(readOn, &bridge.ConnOptions{Compression: websocket.CompressionContextTakeover}))
	br := webclient.NewBrowser(t, a.Serve(t))
	negotiated := func(path string) string {
		ws, res, err := websocket.Dial(t.Context(), br.Base.String()+path, &websocket.DialOptions{
			HTTPClient: br.Client, CompressionMode: websocket.CompressionContextTakeover,
		})
		require.NoError(t, err)
		defer ws.CloseNow()
		return res.Header.Get("Sec-WebSocket-Extensions")
	}
	require.Empty(t, negotiated("/ws"))
	require.Contains(t, negotiated("/compressed"), "permessage-deflate", "the client does offer it")
}
