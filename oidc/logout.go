package oidc

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Logout returns the handler that logs the visitor out: POST, from a page of this site (a request
// from another one gets 403). It ends the session here, with Session.Logout. With
// Options.ProviderLogout the visitor is then sent to the provider, to log out there, too;
// otherwise, and if the provider has no page for it, to Options.PostLogoutURL.
func (p *Provider) Logout() http.Handler {
	sameSite := http.NewCrossOriginProtection()
	return p.handler(func(w http.ResponseWriter, r *http.Request) {
		if sameSite.Check(r) != nil {
			http.Error(w, "Requests from another site are not allowed.", http.StatusForbidden)
			return
		}
		p.logOut(w, r)
	}, http.MethodPost)
}

func (p *Provider) logOut(w http.ResponseWriter, r *http.Request) {
	var l Login
	err := p.bridge.WithSession(r, func(_ context.Context, s *bridge.Session) error {
		l, _ = LoginOf(s)
		s.Logout()
		return nil
	}, bridge.MissingErr(nil))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, p.afterLogout(&l), http.StatusSeeOther)
}

// afterLogout returns where the visitor goes after a logout from the login.
func (p *Provider) afterLogout(l *Login) string {
	here := cmp.Or(p.opts.PostLogoutURL, p.opts.ReturnPath)
	if !p.opts.ProviderLogout || l.Issuer != p.opts.Issuer || l.ClientID != p.opts.ClientID {
		return here
	}
	u, err := url.Parse(p.about.EndSession)
	if err != nil || !absolute(p.about.EndSession) {
		return here
	}
	query := u.Query()
	query.Set("client_id", p.opts.ClientID)
	if l.IDToken != "" {
		query.Set("id_token_hint", l.IDToken)
	}
	if p.opts.PostLogoutURL != "" {
		query.Set("post_logout_redirect_uri", p.opts.PostLogoutURL)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
