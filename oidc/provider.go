package oidc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Provider is an OpenID Connect provider at which the users of a Bridge log in. Its handlers are
// safe for concurrent use, and work with or without Bridge.Handler around them.
type Provider struct {
	bridge   *bridge.Bridge
	opts     Options
	oauth    oauth2.Config
	verifier *gooidc.IDTokenVerifier
	about    metadata
	logins   *index // nil without Options.Store
	off      func()
}

// Format implements fmt.Formatter. It prints no secret.
func (p *Provider) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "oidc.Provider") }

// metadata is the part of the provider's configuration that go-oidc doesn't have (OpenID Connect
// Discovery §3, RP-Initiated Logout §2.1, RFC 9207 §3).
type metadata struct {
	Keys       string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	EndSession string   `json:"end_session_endpoint"`
	SaysIssuer bool     `json:"authorization_response_iss_parameter_supported"`
}

// New returns a Provider for the Bridge. It reads the provider's configuration, within ctx and
// Options.Timeout: ErrUnreachable if it can't. Another error names the field of opts that is
// invalid, or is bridge.ErrUnsupported for an Options.Store that lacks a capability.
//
// Each process with a Bridge on the store makes a Provider, so that the records of sessions that it
// sees end are removed.
func New(ctx context.Context, b *bridge.Bridge, opts *Options) (*Provider, error) {
	if opts == nil {
		opts = &Options{}
	}
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Provider{bridge: b, opts: o, off: func() {}}
	if o.Store != nil {
		if p.logins, err = newIndex(&o); err != nil {
			return nil, err
		}
	}
	if err := p.discover(ctx); err != nil {
		return nil, err
	}
	if p.logins != nil {
		p.off = b.OnSessionDestroy(p.logins.forget)
	}
	return p, nil
}

// Close stops the Provider's subscription to the events of the Bridge. Its handlers go on, but the
// records of sessions that end stay until they expire.
func (p *Provider) Close() { p.off() }

func (p *Provider) discover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(gooidc.ClientContext(ctx, p.opts.HTTPClient), p.opts.Timeout)
	defer cancel()
	found, err := gooidc.NewProvider(ctx, p.opts.Issuer)
	if err == nil {
		err = found.Claims(&p.about)
	}
	if err != nil {
		return fmt.Errorf("%w: read its configuration: %w", ErrUnreachable, err)
	}
	keys := newKeySet(ctx, p.opts.HTTPClient, p.about.Keys, p.opts.Timeout)
	p.verifier = gooidc.NewVerifier(p.opts.Issuer, keys, &gooidc.Config{
		ClientID:             p.opts.ClientID,
		SupportedSigningAlgs: algorithms(p.about.Algorithms),
		Now:                  func() time.Time { return time.Now().Add(-p.opts.Leeway) }, // of the check of exp
	})
	p.oauth = oauth2.Config{
		ClientID:     p.opts.ClientID,
		ClientSecret: p.opts.ClientSecret,
		Endpoint:     found.Endpoint(),
		RedirectURL:  p.opts.RedirectURL,
		Scopes:       p.opts.Scopes,
	}
	return nil
}

// handler returns a handler for requests of visitors, with one of the methods.
func (p *Provider) handler(do http.HandlerFunc, methods ...string) http.Handler {
	return p.bridge.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // the URL has the code, or the state
		if allowed(w, r, methods) {
			do(w, r)
		}
	}))
}

// allowed answers a request with another method with 405.
func allowed(w http.ResponseWriter, r *http.Request, methods []string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}
