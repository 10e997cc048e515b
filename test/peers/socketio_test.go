package peers_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The features of socket.io-sessions, as docs/features.md lists them. Its faults are in
// socketio_fault_test.go.

// addModes adds a socket for each of its modes: one stores its count when it closes, the other with
// each message.
func addModes(a *testkit.App, opts *bridge.ConnOptions) {
	a.Mux.Handle("/connection", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		if s == nil {
			return c.WriteJSON(ctx, "no session: reload the page")
		}
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			n, err := testkit.Increment(ctx, s)
			if err != nil {
				return err
			}
			if err := c.WriteJSON(ctx, n); err != nil {
				return err
			}
		}
	}, opts))
	a.Mux.Handle("/message", a.Messages(func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if s == nil {
			return msg.ReplyJSON("no session: reload the page")
		}
		n, err := testkit.Increment(ctx, s)
		if err != nil {
			return err
		}
		return msg.ReplyJSON(n)
	}, opts))
}

func TestPeerSocketIOSessions_BothModesWithAnyStore(t *testing.T) {
	for name, st := range map[string]store.Store{
		"every capability": livestore.New(),
		"three methods":    teststore.Minimal{Store: livestore.New()},
		"remote":           teststore.NewFaulty(),
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, st, nil)
			addModes(a, nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
			held := br.Dial("/connection")
			require.Equal(t, "2", held.Ask("x"))
			require.Equal(t, "3", held.Ask("x"))
			require.Equal(t, "1", br.OK("/get"), "stored when the connection closes")
			require.NoError(t, held.Conn.Close(1000, ""))
			require.Equal(t, 1000, closes.Next().Code)
			require.Equal(t, "3", br.OK("/get"))

			each := br.Dial("/message")
			require.Equal(t, "4", each.Ask("x"))
			require.Equal(t, "4", br.OK("/get"), "stored with the message")
			require.Equal(t, "5", br.OK("/inc"))
			require.Equal(t, "6", each.Ask("x"), "loaded with the message")
		})
	}
}

// The cutter: the application decides where the session's credential is, but it must be signed.
func TestPeerSocketIOSessions_ExtractorOfTheApplication(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{TokenFrom: func(r *http.Request) (string, bool) {
		_, brought := r.Header["X-Game"]
		return r.Header.Get("X-Game"), brought
	}})
	addModes(a, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.Client.Jar = nil
	rep := br.Get("/inc", "X-Game", "")
	token := rep.Header.Get(bridge.SessionTokenHeader)
	require.NotEmpty(t, token)
	id := br.Get("/id", "X-Game", token).Body

	ws, _, err := br.TryDial("/message", http.Header{"X-Game": {token}})
	require.NoError(t, err)
	require.Equal(t, "2", ws.Ask("x"))
	for _, forged := range []string{id, id + "." + id, "x" + token, token[:len(token)-1], ""} {
		ws, _, err := br.TryDial("/message", http.Header{"X-Game": {forged}})
		require.NoError(t, err)
		require.Equal(t, bridge.CodeNoSession, ws.Closed(), "%q", forged)
		require.Equal(t, "0", br.Get("/get", "X-Game", forged).Body, "%q", forged)
	}
	require.Equal(t, 1, teststore.StoredCount(t, st))
}

// sinvalid: a connection without a session gets a close code, or a message of the application.
func TestPeerSocketIOSessions_InvalidSessionIsToldToTheClient(t *testing.T) {
	for policy, opts := range map[string]*bridge.ConnOptions{"default": nil, "accept": {OnMissing: bridge.AcceptMissing}} {
		t.Run(policy, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			addModes(a, opts)
			site := a.Serve(t)
			stale := webclient.NewBrowser(t, site)
			stale.OK("/inc")
			_, err := a.DestroyByID(t.Context(), stale.OK("/id"))
			require.NoError(t, err)
			for _, br := range []*webclient.Browser{webclient.NewBrowser(t, site), stale} {
				for _, path := range []string{"/connection", "/message"} {
					ws := br.Dial(path)
					if opts == nil {
						require.Equal(t, bridge.CodeNoSession, ws.Closed(), path)
						continue
					}
					ws.Say("x")
					require.Equal(t, `"no session: reload the page"`, ws.Hear(), path)
				}
			}
		})
	}
}
