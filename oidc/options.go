package oidc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// Options is how a Provider behaves. A zero field means its default. New copies it.
type Options struct {
	// Issuer is the provider's URL, exactly as its tokens say it. Its configuration is read from
	// Issuer + "/.well-known/openid-configuration". Required.
	Issuer string
	// ClientID and ClientSecret are those with which the application is registered at the provider.
	// ClientID is required; a public client has no ClientSecret.
	ClientID, ClientSecret string
	// RedirectURL is the absolute URL of the Callback handler, as it is registered at the provider.
	// Required.
	RedirectURL string
	// Scopes are requested at a login; "openid" is added if it is missing. Default: openid.
	Scopes []string
	// AuthOptions are further parameters of a login's request, such as
	// oauth2.SetAuthURLParam("prompt", "select_account"). Default: none.
	AuthOptions []oauth2.AuthCodeOption

	// Store is the store that the Bridge has. It must be a store.Namespacer whose stores are a
	// store.UserIndex and a store.ClientIndex, as those of this module are. Without it there is no
	// back-channel logout. Default: none.
	Store store.Store

	// UserID returns the user ID of a login, for Session.Login. An error refuses the login, and is
	// answered by ErrorHandler. The claims have been verified. An e-mail address is no identity: a
	// provider may give it to somebody else. Default: UserIDOf the issuer and the subject.
	UserID func(ctx context.Context, c *Claims) (string, error)
	// OnLogin is called with the session of a login, after Session.Login, to set its values or
	// timeouts: they are stored together with the login. It may be called again after a conflict,
	// so it should change only the session. An error refuses the login. Default: nil.
	OnLogin func(ctx context.Context, s *bridge.Session, c *Claims) error

	// ReturnParam is the parameter of the Login handler with the path that the visitor comes back
	// to, such as "/cart?step=2". A path that could lead to another site counts as absent. Default:
	// "return".
	ReturnParam string
	// ReturnPath is the path that the visitor comes back to otherwise. Default: "/".
	ReturnPath string

	// ProviderLogout has the Logout handler end the session at the provider, too (OpenID Connect
	// RP-Initiated Logout 1.0), if the provider supports that. The session then keeps its ID token,
	// which may have a few kilobytes. Default: false.
	ProviderLogout bool
	// PostLogoutURL is where the visitor comes after a logout. With ProviderLogout it is an
	// absolute URL that is registered at the provider. Default: ReturnPath, and with ProviderLogout
	// a page of the provider.
	PostLogoutURL string

	// LoginWithin is how long a login may take, from the Login handler on, 1 h at most. Default:
	// 10 min.
	LoginWithin time.Duration
	// Leeway is how far the clocks of the provider and of this process may differ, 10 min at most.
	// Default: 1 min. bridge.Off: not at all.
	Leeway time.Duration
	// Timeout limits each request to the provider, and each operation of Store. Default: 10 s.
	Timeout time.Duration

	// HTTPClient sends the requests to the provider. Default: http.DefaultClient.
	HTTPClient *http.Client
	// ErrorHandler answers a login or a logout that has failed; HTTPStatus(err) is the status. w
	// has Cache-Control: no-store. It isn't called for BackChannelLogout, whose caller is the
	// provider. Default: a sentence, as text.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)
	// Logger receives failures (Warn), and the errors of visitors and of whoever posts logout
	// tokens (Debug); never a token or a code. Default: slog.Default().
	Logger *slog.Logger
	// Audit receives a line for each logout token that ends sessions, and for each such session; the
	// Bridge's Options.Audit has the lines of logins and of the sessions' ends themselves. Sessions and
	// users are named as there. Default: nil, no lines.
	Audit *slog.Logger
}

// Format implements fmt.Formatter. It prints no secret.
func (o Options) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, o.redacted()) }

// LogValue implements slog.LogValuer.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.redacted()) }

func (o Options) redacted() string {
	return fmt.Sprintf("oidc.Options{Issuer:%q ClientID:%q}", o.Issuer, o.ClientID)
}

const (
	maxLoginWithin = time.Hour
	maxLeeway      = 10 * time.Minute
)

// withDefaults returns a copy that is complete and valid.
func (o Options) withDefaults() (Options, error) {
	o.ReturnParam = cmp.Or(o.ReturnParam, "return")
	o.ReturnPath = cmp.Or(o.ReturnPath, "/")
	o.LoginWithin = cmp.Or(o.LoginWithin, 10*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Leeway = cmp.Or(o.Leeway, time.Minute)
	if o.Leeway == bridge.Off {
		o.Leeway = 0
	}
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if !slices.Contains(o.Scopes, gooidc.ScopeOpenID) {
		o.Scopes = append([]string{gooidc.ScopeOpenID}, o.Scopes...)
	}
	if o.UserID == nil {
		o.UserID = func(_ context.Context, c *Claims) (string, error) { return UserIDOf(c.Issuer, c.Subject), nil }
	}
	switch {
	case o.Issuer == "":
		return o, bad("Issuer", "is required")
	case o.ClientID == "":
		return o, bad("ClientID", "is required")
	case !absolute(o.RedirectURL):
		return o, bad("RedirectURL", "%q is not an absolute URL", o.RedirectURL)
	case !isLocal(o.ReturnPath):
		return o, bad("ReturnPath", "%q is not a path of this site", o.ReturnPath)
	case o.PostLogoutURL != "" && !absolute(o.PostLogoutURL) && (o.ProviderLogout || !isLocal(o.PostLogoutURL)):
		return o, bad("PostLogoutURL", "%q is not an absolute URL", o.PostLogoutURL)
	case o.LoginWithin < time.Second || o.LoginWithin > maxLoginWithin:
		return o, bad("LoginWithin", "%v is out of range: 1 s to %v", o.LoginWithin, maxLoginWithin)
	case o.Leeway < 0 || o.Leeway > maxLeeway:
		return o, bad("Leeway", "%v is out of range: 0 to %v", o.Leeway, maxLeeway)
	case o.Timeout < time.Millisecond:
		return o, bad("Timeout", "%v is too short", o.Timeout)
	}
	return o, nil
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// bad returns an error that names the field.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("oidc: Options."+field+": "+format, args...)
}
