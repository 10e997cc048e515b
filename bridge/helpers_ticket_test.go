package bridge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// ticketStores are the stores that tickets are kept in, one way or another.
var ticketStores = map[string]func(t testing.TB) store.Store{
	"livestore": func(testing.TB) store.Store { return livestore.New() },
	"filestore": func(t testing.TB) store.Store {
		st, err := filestore.Open(t.TempDir()+"/sessions.db", nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		return st
	},
	"a store without room for them": func(testing.TB) store.Store { return threeMethodStore{livestore.New()} },
}

// ticketApp is newApp with tickets: /ticket is one for a socket, /redeem logs in with the one in the header X-Ticket. The socket
// /tickets answers a user's name with a ticket to log in with.
func ticketApp(t testing.TB, st store.Store, opts *bridge.Options) *app {
	t.Helper()
	a := makeApp(t, st, opts)
	a.page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
	a.page("/redeem", func(r *http.Request) (any, error) {
		s, err := a.RedeemTicket(r, r.Header.Get("X-Ticket"))
		if err != nil {
			return nil, err
		}
		return "in as " + s.UserID(), nil
	})
	a.mux.Handle("/tickets", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			_, user, err := c.Read(ctx)
			if err != nil {
				return err
			}
			ticket, err := c.LoginTicket(ctx, string(user))
			if err != nil {
				ticket = "error: " + err.Error()
			}
			if err := c.WriteJSON(ctx, ticket); err != nil {
				return err
			}
		}
	}, nil))
	return a
}

// upgrading is the application as a handler behind another library's upgrader has it: whatever the path, the request is a handshake.
func (a *app) upgrading() http.Handler {
	return a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = a.HandshakeHeader(r)
		a.mux.ServeHTTP(w, r)
	}))
}

// dialTicket opens a WebSocket with a ticket.
func (br *browser) dialTicket(path, ticket string) (*socket, *http.Response, error) {
	br.t.Helper()
	return br.dialOffering(path, []string{"sessionbridge"}, "sessionbridge", "sessionbridge.ticket."+ticket)
}

// refused expects that the ticket opens no socket.
func (br *browser) refused(ticket string, why ...any) {
	br.t.Helper()
	_, res, err := br.dialTicket("/ws", ticket)
	require.Error(br.t, err, why...)
	require.Equal(br.t, http.StatusUnauthorized, res.StatusCode, why...)
	require.Empty(br.t, res.Header["Set-Cookie"], why...)
}

// loginTicket asks a socket for a ticket to log in with.
func (s *socket) loginTicket(user string) string {
	s.t.Helper()
	ticket := strings.Trim(s.ask(user), `"`)
	require.Len(s.t, ticket, 43)
	return ticket
}

// jarless is a browser at the same site, which has no cookies and takes none.
func (br *browser) jarless() *browser {
	client := *br.client
	client.Jar = nil
	return &browser{br.t, br.base, &client}
}
