package bridge_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// What users of socket.io-sessions have, and docs/features.md lists. Its faults are in fault_socketio_sessions_test.go.

// addModes adds a socket for each of its modes: one stores what it has counted when it closes, the other with each message.
func addModes(a *app, opts *bridge.ConnOptions) {
	a.mux.Handle("/connection", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		if s == nil {
			return c.WriteJSON(ctx, "no session: reload the page")
		}
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			n, err := increment(ctx, s)
			if err != nil {
				return err
			}
			if err := c.WriteJSON(ctx, n); err != nil {
				return err
			}
		}
	}, opts))
	a.mux.Handle("/message", a.Messages(func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if s == nil {
			return msg.ReplyJSON("no session: reload the page")
		}
		n, err := increment(ctx, s)
		if err != nil {
			return err
		}
		return msg.ReplyJSON(n)
	}, opts))
}

func TestPeerSocketIOSessions_BothModesWithAnyStore(t *testing.T) {
	for name, st := range map[string]store.Store{
		"every capability": livestore.New(),
		"three methods":    threeMethodStore{livestore.New()},
		"remote":           newFaultyStore(),
	} {
		t.Run(name, func(t *testing.T) {
			a := makeApp(t, st, nil)
			addModes(a, nil)
			br := newBrowser(t, a.serve(t))
			br.ok("/inc")
			closes := record[bridge.ConnClose](t, a.Bridge)
			held := br.dial("/connection")
			require.Equal(t, "2", held.ask("x"))
			require.Equal(t, "3", held.ask("x"))
			require.Equal(t, "1", br.ok("/get"), "stored when the connection closes")
			require.NoError(t, held.ws.Close(1000, ""))
			require.Equal(t, 1000, closes.next().Code)
			require.Equal(t, "3", br.ok("/get"))

			each := br.dial("/message")
			require.Equal(t, "4", each.ask("x"))
			require.Equal(t, "4", br.ok("/get"), "stored with the message")
			require.Equal(t, "5", br.ok("/inc"))
			require.Equal(t, "6", each.ask("x"), "loaded with the message")
		})
	}
}

// The cutter: where the session's credential stands is the application's to say, but what it finds there has to be signed.
func TestPeerSocketIOSessions_ExtractorOfTheApplication(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, &bridge.Options{TokenFrom: func(r *http.Request) (string, bool) {
		_, brought := r.Header["X-Game"]
		return r.Header.Get("X-Game"), brought
	}})
	addModes(a, nil)
	br := newBrowser(t, a.serve(t))
	br.client.Jar = nil
	rep := br.get("/inc", "X-Game", "")
	token := rep.header.Get(bridge.SessionTokenHeader)
	require.NotEmpty(t, token)
	id := br.get("/id", "X-Game", token).body

	ws, _, err := br.tryDial("/message", http.Header{"X-Game": {token}})
	require.NoError(t, err)
	require.Equal(t, "2", ws.ask("x"))
	for _, forged := range []string{id, id + "." + id, "x" + token, token[:len(token)-1], ""} {
		ws, _, err := br.tryDial("/message", http.Header{"X-Game": {forged}})
		require.NoError(t, err)
		require.Equal(t, bridge.CodeNoSession, ws.closed(), "%q", forged)
		require.Equal(t, "0", br.get("/get", "X-Game", forged).body, "%q", forged)
	}
	require.Equal(t, 1, storedCount(t, st))
}

// sinvalid: a connection without a session is told so, by a code or by the application.
func TestPeerSocketIOSessions_InvalidSessionIsToldToTheClient(t *testing.T) {
	for policy, opts := range map[string]*bridge.ConnOptions{"default": nil, "accept": {OnMissing: bridge.AcceptMissing}} {
		t.Run(policy, func(t *testing.T) {
			a := makeApp(t, livestore.New(), nil)
			addModes(a, opts)
			site := a.serve(t)
			stale := newBrowser(t, site)
			stale.ok("/inc")
			_, err := a.DestroyByID(t.Context(), stale.ok("/id"))
			require.NoError(t, err)
			for _, br := range []*browser{newBrowser(t, site), stale} {
				for _, path := range []string{"/connection", "/message"} {
					ws := br.dial(path)
					if opts == nil {
						require.Equal(t, bridge.CodeNoSession, ws.closed(), path)
						continue
					}
					ws.say("x")
					require.Equal(t, `"no session: reload the page"`, ws.hear(), path)
				}
			}
		})
	}
}
