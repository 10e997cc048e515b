package oidc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Errors of a login or a logout. Test with errors.Is. Those of the Bridge come as well.
var (
	// ErrNoLogin: the answer of the provider belongs to no login that this visitor has begun: it
	// has been answered, has taken too long, or was begun in another browser.
	ErrNoLogin = errors.New("oidc: no such login is in progress")
	// ErrToken: the ID token, or the logout token, is invalid.
	ErrToken = errors.New("oidc: invalid token")
	// ErrLoggedOut: the provider has ended the login while it was being completed here.
	ErrLoggedOut = errors.New("oidc: the login has been ended by the provider")
	// ErrUnreachable: the provider could not be reached, or failed.
	ErrUnreachable = errors.New("oidc: the provider is unavailable")
	// ErrRequest: the request is malformed.
	ErrRequest = errors.New("oidc: malformed request")
)

// ProviderError is the error that the provider has answered a login with (RFC 6749 §4.1.2.1, OpenID
// Connect Core §3.1.2.6). Its texts come by way of the browser, so anyone can have written them.
type ProviderError struct {
	Code        string // such as access_denied, login_required
	Description string // "" for none; 256 bytes at most
}

func (e *ProviderError) Error() string {
	return "oidc: the provider has answered the login with the error " + quoted(e.Code)
}

// quoted returns the code if it is one (RFC 6749 §5.2), so that a log line contains no other text.
func quoted(code string) string {
	plain := func(r rune) bool { return r == '_' || r >= 'a' && r <= 'z' }
	if code == "" || len(code) > 64 || strings.IndexFunc(code, func(r rune) bool { return !plain(r) }) >= 0 {
		return "(not an error code)"
	}
	return code
}

// HTTPStatus returns the status that answers err:
//
//	400  ErrNoLogin, ErrToken, ErrRequest
//	401  ErrLoggedOut, a ProviderError that asks for an interaction (login_required, …)
//	403  a ProviderError access_denied
//	502  ErrUnreachable, any other ProviderError
//
// For any other error it is bridge.HTTPStatus: 503 if the store is unavailable.
func HTTPStatus(err error) int {
	var answered *ProviderError
	switch {
	case errors.Is(err, ErrLoggedOut):
		return http.StatusUnauthorized
	case errors.Is(err, ErrUnreachable):
		return http.StatusBadGateway
	case errors.Is(err, ErrNoLogin), errors.Is(err, ErrToken), errors.Is(err, ErrRequest):
		return http.StatusBadRequest
	case errors.As(err, &answered):
		switch answered.Code {
		case "access_denied":
			return http.StatusForbidden
		case "login_required", "interaction_required", "consent_required", "account_selection_required":
			return http.StatusUnauthorized
		}
		return http.StatusBadGateway
	}
	return bridge.HTTPStatus(err)
}

// texts answer the errors of this package. They don't depend on what the provider or the request
// says.
var texts = map[int]string{
	http.StatusBadRequest:   "This login is not in progress any more. Please log in again.",
	http.StatusUnauthorized: "You have been logged out. Please log in again.",
	http.StatusForbidden:    "The login was refused.",
	http.StatusBadGateway:   "The login service is not available. Please try again later.",
}

// fail answers a login or a logout with err. No response has begun.
func (p *Provider) fail(w http.ResponseWriter, r *http.Request, err error) {
	level := slog.LevelDebug
	if HTTPStatus(err) >= http.StatusInternalServerError || errors.Is(err, ErrToken) { // the provider is to blame
		level = slog.LevelWarn
	}
	p.log(r.Context(), level, err)
	w.Header().Set("Cache-Control", "no-store")
	if p.opts.ErrorHandler != nil {
		p.opts.ErrorHandler(w, r, err)
		return
	}
	status := HTTPStatus(err)
	text, own := texts[status]
	if !own || status == bridge.HTTPStatus(err) {
		p.bridge.WriteError(w, r, err)
		return
	}
	http.Error(w, text, status)
}

func (p *Provider) log(ctx context.Context, level slog.Level, err error) {
	p.logger().LogAttrs(ctx, level, "oidc: a login or a logout has failed", slog.String("error", err.Error()))
}

func (p *Provider) logger() *slog.Logger {
	if p.opts.Logger != nil {
		return p.opts.Logger
	}
	return slog.Default()
}
