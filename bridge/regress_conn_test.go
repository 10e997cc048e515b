package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The close functions of Attach are the application's, and may hang: neither the closing of other connections waits for them, nor the Bridge's own work.
func TestG12_NobodyCanStallIt_HangingCloseFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		hang := make(chan struct{})
		hanging := make(chan struct{}, 1500)
		a.page("/attach", func(r *http.Request) (any, error) {
			for range cap(hanging) {
				if _, err := a.Attach(r, func(int, string) { hanging <- struct{}{}; <-hang }); err != nil {
					return nil, err
				}
			}
			return "attached", nil
		})
		site := a.serveInMemory(t)
		stuck, br, expired := newBrowser(t, site), newBrowser(t, site), newBrowser(t, site)
		for _, b := range []*browser{stuck, br, expired} {
			b.ok("/inc")
		}
		stuck.ok("/attach")
		ws, idler := br.dial("/ws"), expired.dial("/ws")
		ws.ask("id")
		idler.ask("id")
		stuck.ok("/logout")
		synctest.Wait()
		require.Len(t, hanging, cap(hanging), "all of them hang")

		start := time.Now()
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, ws.closedEventually())
		require.Zero(t, time.Since(start))
		require.Equal(t, bridge.CodeExpired, idler.closedEventually())
		require.LessOrEqual(t, time.Since(start), idle+touch+time.Second)
		close(hang)
	})
}

func TestAttachFromAForeignOriginIsRefused(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{OriginPatterns: []string{"*.friend.example"}})
	result := make(chan error, 1)
	a.mux.HandleFunc("/attach", func(w http.ResponseWriter, r *http.Request) {
		link, err := a.Attach(r, func(int, string) {})
		if err == nil {
			link.Detach()
		}
		result <- err
		w.WriteHeader(bridge.HTTPStatus(err))
	})
	opened := record[bridge.ConnOpen](t, a.Bridge)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	for _, origin := range []string{"https://evil.example", "https://friend.example.evil.example", "null"} {
		require.Equal(t, http.StatusForbidden, br.get("/attach", "Origin", origin).status, origin)
		require.ErrorIs(t, receive(t, result), bridge.ErrOrigin)
		require.Equal(t, bridge.CodePolicy, bridge.CloseCode(bridge.ErrOrigin))
	}
	require.Empty(t, opened.rest())
	for _, origin := range []string{"https://www.friend.example", br.base.String()} {
		require.Equal(t, http.StatusOK, br.get("/attach", "Origin", origin).status, origin)
		require.NoError(t, receive(t, result))
	}
	require.Len(t, opened.rest(), 2)
}

func TestCloseMissingDoesNotRunTheHandler(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	ran := make(chan struct{}, 2)
	a.mux.Handle("/members", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		ran <- struct{}{}
		return readOn(ctx, c)
	}, &bridge.ConnOptions{OnMissing: bridge.CloseMissing}))
	br := newBrowser(t, a.serve(t))
	require.Equal(t, bridge.CodeNoSession, br.dial("/members").closed())
	require.Empty(t, ran)
	br.ok("/inc")
	br.dial("/members")
	receive(t, ran)
}

// Compression beside secrets leaks them (CRIME), and costs memory for each connection: it takes somebody to ask for it.
func TestS14_NoCompressionIsNegotiatedByDefault(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/compressed", a.WebSocket(readOn, &bridge.ConnOptions{Compression: websocket.CompressionContextTakeover}))
	br := newBrowser(t, a.serve(t))
	negotiated := func(path string) string {
		ws, res, err := websocket.Dial(t.Context(), br.base.String()+path, &websocket.DialOptions{
			HTTPClient: br.client, CompressionMode: websocket.CompressionContextTakeover,
		})
		require.NoError(t, err)
		defer ws.CloseNow()
		return res.Header.Get("Sec-WebSocket-Extensions")
	}
	require.Empty(t, negotiated("/ws"))
	require.Contains(t, negotiated("/compressed"), "permessage-deflate", "the client does offer it")
}
