package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Login returns the handler that sends a visitor to the provider: GET or POST, with the path to
// come back to as Options.ReturnParam. It keeps state, nonce and code verifier in the visitor's
// session; a visitor without one gets one. A visitor can have 8 logins in progress, such as in
// several tabs.
func (p *Provider) Login() http.Handler { return p.handler(p.begin, http.MethodGet, http.MethodPost) }

func (p *Provider) begin(w http.ResponseWriter, r *http.Request) {
	f := p.newFlow(p.returnPath(r))
	err := p.bridge.WithSession(r, func(_ context.Context, s *bridge.Session) error {
		p.remember(s, f)
		return nil
	}, nil)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	options := append([]oauth2.AuthCodeOption{gooidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)},
		p.opts.AuthOptions...)
	http.Redirect(w, r, p.oauth.AuthCodeURL(f.State, options...), http.StatusSeeOther)
}

// Callback returns the handler of Options.RedirectURL, which completes a login: GET, the response
// mode "query". The visitor's session becomes that of the user (Session.Login), and the visitor is
// sent to the path of the Login handler. The session cookie must come along with a request from the
// provider's site: with SameSite Strict it doesn't.
//
// The errors for Options.ErrorHandler are ErrNoLogin, a *ProviderError, ErrToken, ErrUnreachable,
// ErrLoggedOut, those of Options.UserID and OnLogin, and those of Bridge.WithSession.
func (p *Provider) Callback() http.Handler { return p.handler(p.complete, http.MethodGet) }

func (p *Provider) complete(w http.ResponseWriter, r *http.Request) {
	f, c, err := p.answer(r)
	if err == nil {
		err = p.logIn(r, f, c)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, f.Return, http.StatusSeeOther)
}

// answer takes the flow that the provider's answer belongs to out of the session, and exchanges the
// code for tokens.
func (p *Provider) answer(r *http.Request) (*flow, *Claims, error) {
	query := r.URL.Query()
	state, ok := single(query, "state")
	if !ok {
		return nil, nil, fmt.Errorf("%w: the answer has no state", ErrNoLogin)
	}
	var f *flow
	err := p.bridge.WithSession(r, func(_ context.Context, s *bridge.Session) error {
		if f = p.take(s, state); f == nil {
			return ErrNoLogin
		}
		f.session = s.ID()
		return nil
	}, bridge.MissingErr(fmt.Errorf("%w: the visitor has no session", ErrNoLogin)))
	if err != nil {
		return nil, nil, err
	}
	// From here on the flow is used up, whatever the answer says.
	if issuer, said := single(query, "iss"); said && issuer != p.opts.Issuer || !said && p.about.SaysIssuer {
		return nil, nil, fmt.Errorf("%w: the answer is of another provider (iss)", ErrNoLogin) // RFC 9207 §2.4
	}
	if code, failed := single(query, "error"); failed {
		description := query.Get("error_description")
		return nil, nil, &ProviderError{code, description[:min(len(description), 256)]}
	}
	code, ok := single(query, "code")
	if !ok {
		return nil, nil, fmt.Errorf("%w: the answer has no code", ErrNoLogin)
	}
	c, err := p.exchange(r.Context(), code, f)
	return f, c, err
}

// single returns the parameter if it comes exactly once (RFC 6749 §3.1).
func single(query url.Values, name string) (string, bool) {
	values := query[name]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

func (p *Provider) exchange(ctx context.Context, code string, f *flow) (*Claims, error) {
	ctx, cancel := context.WithTimeout(gooidc.ClientContext(ctx, p.opts.HTTPClient), p.opts.Timeout)
	defer cancel()
	token, err := p.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode == "invalid_grant": // expired, used, or not for this visitor
		return nil, fmt.Errorf("%w: the provider doesn't accept the code", ErrNoLogin)
	case errors.As(err, &refused): // its text has the response, and with it perhaps tokens
		return nil, fmt.Errorf("%w: the exchange of the code: error %s", ErrUnreachable, quoted(refused.ErrorCode))
	case err != nil:
		return nil, fmt.Errorf("%w: the exchange of the code: %w", ErrUnreachable, err)
	}
	return p.verify(ctx, token, f)
}

// Login is what a session remembers of the login that it comes from.
type Login struct {
	Issuer    string    `json:"issuer"`
	ClientID  string    `json:"clientId"`
	Subject   string    `json:"subject"`
	SessionID string    `json:"sid,omitempty"` // at the provider; "" if it doesn't say
	UserID    string    `json:"userId"`        // of the session then
	IssuedAt  time.Time `json:"issuedAt"`      // of the ID token, by the provider's clock
	IDToken   string    `json:"idToken,omitempty"`
}

// loginKey is the value that a session keeps of its login.
var loginKey = bridge.NewKey[Login]("sessionbridge.oidc.login")

// LoginOf returns the session's last login at a provider; ok is false for a guest, and for a session
// that another user has logged in to since, or whose values were cleared.
// Login.IDToken is set with Options.ProviderLogout only.
func LoginOf(s *bridge.Session) (l Login, ok bool) {
	l, ok = loginKey.Get(s)
	if !ok || l.UserID == "" || l.UserID != s.UserID() {
		return Login{}, false
	}
	return l, true
}

// logIn makes the request's session that of the user, unless the provider has ended the login.
// Until the session is stored, a logout finds the login as a pending one, and ends the visitor's
// session: so storing it fails. Nothing has to be undone after that.
func (p *Provider) logIn(r *http.Request, f *flow, c *Claims) error {
	userID, err := p.opts.UserID(r.Context(), c)
	if err != nil {
		return err
	}
	l := Login{
		Issuer: c.Issuer, ClientID: p.opts.ClientID, Subject: c.Subject, SessionID: c.SessionID,
		UserID: userID, IssuedAt: c.IDToken.IssuedAt.UTC(),
	}
	if p.opts.ProviderLogout {
		l.IDToken = c.rawID
	}
	if p.logins == nil {
		return p.store(r, f, c, &l)
	}
	ctx := context.WithoutCancel(r.Context()) // the end of the request leaves no record behind
	until := time.Unix(f.Began, 0).Add(p.opts.LoginWithin + p.opts.Leeway + time.Minute)
	pending, err := p.logins.announce(ctx, f.session, &l, until)
	if err != nil {
		return err
	}
	ended, err := p.logins.ended(ctx, &l) // after announce: a logout before it left a mark
	switch {
	case err != nil:
	case ended:
		err = ErrLoggedOut
	default:
		err = p.store(r, f, c, &l)
	}
	tracked := err
	if err == nil {
		if tracked = p.track(ctx, f.session, &l); tracked != nil {
			p.log(ctx, slog.LevelWarn, tracked)
		}
	}
	if !errors.Is(tracked, bridge.ErrStoreUnavailable) { // otherwise a logout may need it to find the session
		p.logins.remove(ctx, pending)
	}
	return err
}

// store stores the login in the session that has begun it.
func (p *Provider) store(r *http.Request, f *flow, c *Claims, l *Login) error {
	err := p.bridge.WithSession(r, func(ctx context.Context, s *bridge.Session) error {
		if s.ID() != f.session || !p.within(f) {
			return ErrNoLogin
		}
		if err := s.Login(l.UserID); err != nil {
			return err
		}
		loginKey.Set(s, *l) // Login clears values of another user
		if p.opts.OnLogin != nil {
			return p.opts.OnLogin(ctx, s, c)
		}
		return nil
	}, bridge.MissingErr(ErrNoLogin))
	if errors.Is(err, bridge.ErrSessionGone) {
		return fmt.Errorf("%w: %w", ErrLoggedOut, err)
	}
	return err
}

// track makes the session's record agree with the session, which has just stored l: of logins to
// one session that run at the same time, it is the one that the session has.
func (p *Provider) track(ctx context.Context, id string, l *Login) error {
	return p.logins.put(ctx, id, func(e *entry) error {
		s, err := p.bridge.GetByID(ctx, id)
		if err != nil {
			return err
		}
		now := *l
		if stored, ok := LoginOf(s); ok {
			now = stored
		}
		info, err := p.bridge.Info(ctx, id)
		if err != nil {
			return err
		}
		e.describe(&now, entryData{Session: id}, expiry(&info))
		return nil
	})
}

// Format implements fmt.Formatter. It prints nothing of the user.
func (l Login) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "oidc.Login") }

// LogValue implements slog.LogValuer.
func (l Login) LogValue() slog.Value { return slog.StringValue("oidc.Login") }
