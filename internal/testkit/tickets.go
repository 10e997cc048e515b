package testkit

import (
	"context"
	"net/http"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// NewTicketApp returns an application with tickets. The page /ticket issues one for a handshake,
// and /redeem logs in, or rotates, with the one in the header X-Ticket. The socket /tickets answers
// the name of a user with a login ticket, and an empty message with one for a rotation.
func NewTicketApp(t testing.TB, st store.Store, opts *bridge.Options) *App {
	t.Helper()
	a := NewApp(t, st, opts)
	a.Page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
	a.Page("/redeem", func(r *http.Request) (any, error) {
		s, err := a.RedeemTicket(r, r.Header.Get("X-Ticket"))
		if err != nil {
			return nil, err
		}
		return "in as " + s.UserID(), nil
	})
	a.Mux.Handle("/tickets", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			_, user, err := c.Read(ctx)
			if err != nil {
				return err
			}
			ticket, err := ticketFor(ctx, c, string(user))
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

func ticketFor(ctx context.Context, c *bridge.Conn, user string) (string, error) {
	if user == "" {
		return c.RotateTicket(ctx)
	}
	return c.LoginTicket(ctx, user)
}

// Upgrading returns a handler that treats each request as a handshake, as an application with
// another WebSocket library does.
func (a *App) Upgrading() http.Handler {
	return a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = a.HandshakeHeader(r)
		a.Mux.ServeHTTP(w, r)
	}))
}
