package bridge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

// Ticket returns a ticket for one handshake on the request's session, for clients to which the
// session cookie can't go: on another host, or without cookies. The ticket is valid once, for
// Options.TicketLifetime, and until the next login. A script offers it as a subprotocol, together
// with Subprotocol:
//
//	new WebSocket(url, ["sessionbridge", "sessionbridge.ticket." + ticket])
//
// A ticket opens only a connection: that of WebSocket, Attach, or an upgrader behind
// HandshakeHeader. For another request with a ticket, Session returns ErrTicket, whatever its
// headers are.
//
// A handshake with a ticket ignores cookies. It opens the session or is answered with 401; the
// page's origin is checked as always. A login closes the connection, as if it had come with the
// token of the request. It can change and destroy the session, but not log in or rotate
// (ErrNoCookies).
//
// Ticket stores the session's changes first: ErrSessionMissing if there is nothing to store. It
// also returns the errors of Session, ErrSessionGone, ErrHeadersSent, ErrSessionTooLarge, a
// *ValueError, and ErrTicket if the request itself came with a ticket. Headers of the response
// forbid caches to store it, even if the handler allows it.
func (b *Bridge) Ticket(r *http.Request) (string, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return "", err
	}
	s, err := rq.open(r.Context())
	if err != nil {
		return "", err
	}
	if rq.creds.Presented().Carrier == credentials.ByTicket {
		return "", fmt.Errorf("%w: a ticket makes no other", ErrTicket)
	}
	if err := s.commit(r.Context()); err != nil {
		return "", err
	}
	s.lock()
	base, proved, device, gone := *s.draft.Base(), s.proof.Generation(), s.proof.Device(), s.fate != fateAlive
	s.unlock()
	switch {
	case gone:
		return "", ErrSessionGone
	case base.Revision == 0:
		return "", fmt.Errorf("%w: there is nothing in it to be stored", ErrSessionMissing)
	}
	rq.creds.SetPrivate()
	return b.issue(r.Context(), tickets.Ticket{
		Kind: tickets.Handshake, SessionID: base.ID, ClientID: base.ClientID, Generation: proved, Device: device,
	}, s.subject())
}

// issue returns a ticket, and writes the audit line. about is its requester.
func (b *Bridge) issue(ctx context.Context, t tickets.Ticket, about reporting.Subject) (string, error) {
	text, err := b.tickets.Issue(ctx, t)
	if err == nil {
		b.report.Audit(ctx, slog.LevelInfo, "ticket issued", about, slog.String("ticket", ticketKind(&t)))
	}
	return text, err
}

// LoginTicket returns a ticket with which the connection's browser logs the user in over HTTP: see
// Bridge.RedeemTicket. It is for handlers that authenticate the user over the connection, where no
// cookie can be set. The ticket is valid once, for Options.TicketLifetime, and until the next
// login.
//
// ErrSessionMissing without a session, ErrUserID, ErrStoreUnavailable.
func (c *Conn) LoginTicket(ctx context.Context, userID string) (string, error) {
	return c.link.LoginTicket(ctx, userID)
}

// RotateTicket is LoginTicket for a Session.Rotate: the browser gets a new token, and no login.
func (c *Conn) RotateTicket(ctx context.Context) (string, error) { return c.link.RotateTicket(ctx) }

// LoginTicket is Conn.LoginTicket for connections of other libraries.
func (l *Link) LoginTicket(ctx context.Context, userID string) (string, error) {
	if err := logins.CheckUserID(userID); err != nil {
		return "", err
	}
	return l.issueTicket(ctx, userID)
}

// RotateTicket is Conn.RotateTicket for connections of other libraries.
func (l *Link) RotateTicket(ctx context.Context) (string, error) { return l.issueTicket(ctx, "") }

// issueTicket returns a ticket that logs the user in, or rotates the token if userID is "".
func (l *Link) issueTicket(ctx context.Context, userID string) (string, error) {
	id, proved := l.b.links.SessionOf(&l.entry)
	if id == "" {
		return "", ErrSessionMissing
	}
	rec, err := l.b.gateway.Load(ctx, id)
	if err != nil {
		return "", err
	}
	if registry.ShutOut(proved, rec.LoginGeneration) {
		return "", errorcodes.ErrCutOff
	}
	about := l.about(id)
	about.UserID = cmp.Or(userID, rec.UserID)
	return l.b.issue(ctx, tickets.Ticket{
		Kind: tickets.Login, SessionID: rec.ID, ClientID: rec.ClientID, Generation: rec.TokenGeneration, UserID: userID,
	}, about)
}

// RedeemTicket performs the Login of a LoginTicket, or the Rotate of a RotateTicket, in the
// request's session, and returns the session. The new cookie goes with the response.
//
// The request must come from the browser whose connection asked for the ticket: with the session
// cookie of the same session, and the client cookie of the same client. So a stolen ticket opens
// nothing, and a ticket that an attacker passes to a victim doesn't log the victim in (login CSRF).
// Otherwise ErrTicket, as for a ticket that has been redeemed, has expired, is older than the last
// login, or was never issued. A ticket that was refused stays valid for its owner.
//
// It also returns the errors of Session and of Login. The ticket stays valid after these, but not
// if storing the login fails at the commit. Call RedeemTicket outside of WithSession: its function
// may run again after the ticket has been redeemed.
func (b *Bridge) RedeemTicket(r *http.Request, text string) (*Session, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	s, err := b.Session(r)
	if err != nil {
		return nil, err
	}
	if err := s.canReplaceToken(); err != nil {
		return nil, err
	}
	rec := s.record()
	mismatched := rq.creds.Mismatched()
	ticket, err := b.tickets.Redeem(r.Context(), text, tickets.Login, func(t *tickets.Ticket) bool {
		return rec.Revision != 0 && !mismatched &&
			t.SessionID == rec.ID && t.ClientID == rec.ClientID && t.Generation >= rec.LoginGeneration
	})
	if err != nil {
		rq.reportTicket(err, opening.Rejection{SessionID: rec.ID, UserID: rec.UserID})
		return nil, err
	}
	rq.redeemed(ticket, rec.UserID)
	if ticket.UserID != "" {
		err = s.Login(ticket.UserID)
	} else {
		err = s.Rotate()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openOffered opens the session of a handshake that offers a ticket, before the upgrader of another
// library answers it. If the ticket opens nothing, the client gets the error.
func (rq *request) openOffered(w http.ResponseWriter, r *http.Request) error {
	if rq.creds.Presented().Carrier != credentials.ByTicket || rq.opened() != nil {
		return nil
	}
	rq.coalesceLoads()
	_, err := rq.open(r.Context())
	if err != nil {
		rq.setFailed(err)
		rq.b.refuseHandshake(w, r, errorcodes.OfHandshake(err))
	}
	return err
}
