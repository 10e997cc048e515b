package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// Ticket returns a ticket for one handshake on the request's session, where the session cookie can't go: on another host, or in a client that has none. It is
// good once, for Options.TicketLifetime, and until the next login. A script offers it as a subprotocol, together with Subprotocol:
//
//	new WebSocket(url, ["sessionbridge", "sessionbridge.ticket." + ticket])
//
// It opens nothing but a connection: that of WebSocket, Attach, or an upgrader behind HandshakeHeader. A page that opens its session gets ErrTicket, whatever headers its request has.
//
// The handshake then takes no cookies, and opens the session or is answered with 401; the page's origin is checked as always. In the session it has proved the token that this
// request came with: a login cuts it off. It can change and destroy the session; it can't log in or rotate (ErrNoCookies).
//
// What has changed in the session is stored, so that there is one: ErrSessionMissing when there is nothing to store. Also the errors of Session, ErrSessionGone,
// ErrHeadersSent, ErrSessionTooLarge, a *ValueError; ErrTicket when the request has itself come with a ticket. The response is not to be cached, and
// says so, whatever its handler says.
func (b *Bridge) Ticket(r *http.Request) (string, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return "", err
	}
	s, err := rq.open(r.Context())
	if err != nil {
		return "", err
	}
	if rq.presented.Carrier == credentials.ByTicket {
		return "", fmt.Errorf("%w: a ticket makes no other", ErrTicket)
	}
	if err := s.commit(r.Context()); err != nil {
		return "", err
	}
	what := ticket{Kind: socketTicket}
	s.lock()
	base := s.draft.Base()
	what.SessionID, what.ClientID, what.Generation = base.ID, base.ClientID, s.proved
	stored, gone := base.Revision != 0, s.gone || s.ended
	s.unlock()
	switch {
	case gone:
		return "", ErrSessionGone
	case !stored:
		return "", fmt.Errorf("%w: there is nothing in it to be stored", ErrSessionMissing)
	}
	rq.mu.Lock()
	rq.answer.SetPrivate()
	rq.mu.Unlock()
	return b.tickets.issue(r.Context(), what)
}

// LoginTicket returns a ticket with which the connection's browser logs in over HTTP: see Bridge.RedeemTicket. With an empty userID it rotates the token instead. It is for
// handlers that have checked who the user is over the connection, where no cookie can be set. It is good once, for Options.TicketLifetime, and until the next login.
//
// ErrSessionMissing without a session, ErrUserID, ErrStoreUnavailable.
func (c *Conn) LoginTicket(ctx context.Context, userID string) (string, error) {
	return c.link.LoginTicket(ctx, userID)
}

// LoginTicket is Conn.LoginTicket for connections of other libraries.
func (l *Link) LoginTicket(ctx context.Context, userID string) (string, error) {
	if userID != "" {
		if err := checkUserID(userID); err != nil {
			return "", err
		}
	}
	id, proved := l.b.links.sessionOf(l)
	if id == "" {
		return "", ErrSessionMissing
	}
	rec, err := l.b.gateway.Load(ctx, id)
	if err != nil {
		return "", err
	}
	if proved != 0 && rec.LoginGeneration > proved {
		return "", errCutOff
	}
	return l.b.tickets.issue(ctx, ticket{
		Kind: loginTicket, SessionID: rec.ID, ClientID: rec.ClientID, Generation: rec.TokenGeneration, UserID: userID,
	})
}

// RedeemTicket does in the request's session what the ticket of a LoginTicket says: a Login, whose new cookie goes with the response, or a Rotate. It returns the session.
//
// The request must be of the browser whose connection asked for the ticket: with the session cookie of the same session, and the client cookie of the same client. So a ticket that was
// stolen opens nothing, and one that is forced upon somebody logs nobody in (login CSRF). ErrTicket otherwise, and for a ticket that has been redeemed, has expired, is
// older than the last login, or never was one. A ticket that was refused to somebody is still good for its owner.
//
// Also the errors of Session and of Login; after these, too, the ticket is still good, but not when storing the login fails in the end. A function of WithSession
// may run again, when the ticket has been redeemed: call it outside of one.
func (b *Bridge) RedeemTicket(r *http.Request, text string) (*Session, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	s, err := b.Session(r)
	if err != nil {
		return nil, err
	}
	if err := s.canKeepToken(); err != nil {
		return nil, err
	}
	if err := s.try(s.mayReplaceToken); err != nil {
		return nil, err
	}
	rec := s.record()
	rq.mu.Lock()
	mismatched := rq.mismatched
	rq.mu.Unlock()
	what, err := b.tickets.redeem(r.Context(), text, loginTicket, func(t *ticket) bool {
		return rec.Revision != 0 && !mismatched && t.SessionID == rec.ID && t.ClientID == rec.ClientID && t.Generation >= rec.LoginGeneration
	})
	if err != nil {
		rq.refusedTicket(r.Context(), err, CredentialRejected{SessionID: rec.ID, UserID: rec.UserID})
		return nil, err
	}
	if what.UserID != "" {
		err = s.Login(what.UserID)
	} else {
		err = s.Rotate()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openTicket opens the session that the ticket of a handshake names. ErrTicket, ErrOrigin.
func (rq *request) openTicket(ctx context.Context) (*Session, error) {
	b := rq.b
	rq.mu.Lock()
	r, handshake := rq.r, rq.shares
	rq.mu.Unlock()
	switch {
	case r == nil:
		return nil, ErrSessionClosed
	case !handshake || !upgrades(r): // it is for connections: a page has cookies, and anybody can send an Upgrade header
		return nil, ErrTicket
	case !b.opts.originAllowed(r):
		b.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "handshake from another origin refused", b.opts.originAttrs(r)...)
		return nil, ErrOrigin
	}
	what, err := b.tickets.redeem(ctx, rq.presented.Text, socketTicket, func(*ticket) bool { return true })
	if err != nil {
		rq.refusedTicket(ctx, err, CredentialRejected{})
		return nil, err
	}
	rejected := CredentialRejected{SessionID: what.SessionID}
	rec, err := b.gateway.LoadActive(ctx, what.SessionID, func(rec *store.Record) error {
		rejected.UserID = rec.UserID
		if what.ClientID != rec.ClientID || what.Generation < rec.LoginGeneration || !rq.bind(rec) {
			return errRefused
		}
		return nil
	})
	if err == nil {
		err = b.attach(ctx, &rec, ViaHTTP)
	}
	if errors.Is(err, ErrSessionMissing) || errors.Is(err, errRefused) {
		err = ErrTicket
		rq.refusedTicket(ctx, err, rejected)
	}
	if err != nil {
		return nil, err
	}
	s, err := b.newSession(rec, &origin{via: ViaHTTP, request: rq})
	if err != nil {
		return nil, err
	}
	s.proved, s.stale = what.Generation, true // whoever has the ticket hasn't the token
	s.draft.Prove(s.proved)
	return s, nil
}

// refusedTicket counts and tells of a ticket that opens nothing, but never which.
func (rq *request) refusedTicket(ctx context.Context, err error, cr CredentialRejected) {
	if errors.Is(err, ErrTicket) {
		cr.Credential, cr.Reason = CredentialTicket, RejectedTicket
		rq.refused(cr)
		rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "ticket opens nothing")
	}
}

// openOffered opens the session of a handshake that offers a ticket, before an upgrader of another library answers it; if it opens nothing, that is the answer.
func (rq *request) openOffered(w http.ResponseWriter, r *http.Request) error {
	if rq.presented.Carrier != credentials.ByTicket || rq.opened() != nil {
		return nil
	}
	rq.shareLoads()
	_, err := rq.open(r.Context())
	if err == nil {
		return nil
	}
	rq.mu.Lock()
	rq.failed, rq.sent = err, true
	rq.mu.Unlock()
	rq.b.refuse(w, r, handshakeError(err))
	return err
}

// handshakeError is err, but for a ticket that opens nothing: a handshake's is its only credential,
// so there is no session (401).
func handshakeError(err error) error {
	if errors.Is(err, ErrTicket) {
		return fmt.Errorf("%w: %w", ErrSessionMissing, err)
	}
	return err
}
