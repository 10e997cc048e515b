package oidc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	maxUnix     = 253402300799 // the end of the year 9999
)

// logout is a logout token that has been verified.
type logout struct {
	*gooidc.LogoutToken
	issuer, client string
}

// verifyLogout verifies a logout token (OpenID Connect Back-Channel Logout §2.6). The error is
// ErrToken, or ErrUnreachable if the provider's keys can't be fetched.
//
// Signature, issuer, audience, exp, jti, and that there is sub or sid, are checked by go-oidc, the
// rest here.
func (p *Provider) verifyLogout(ctx context.Context, raw string) (*logout, error) {
	if err := checkType(raw); err != nil {
		return nil, err
	}
	token, err := verified(ctx, raw, p.verifier.VerifyLogout)
	if err != nil {
		return nil, err
	}
	// Claims by their exact names: structs would take "IAT" as well.
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	for _, name := range []string{"iss", "aud", "iat", "exp", "jti", "events"} {
		if v, ok := claims[name]; !ok || string(v) == "null" {
			return nil, fmt.Errorf("%w: a logout token without %s", ErrToken, name)
		}
	}
	if _, ok := claims["nonce"]; ok {
		return nil, fmt.Errorf("%w: a logout token with a nonce", ErrToken)
	}
	var events map[string]json.RawMessage
	if err := json.Unmarshal(claims["events"], &events); err != nil || !isObject(events[logoutEvent]) {
		return nil, fmt.Errorf("%w: a logout token without the event of a logout", ErrToken)
	}
	for _, at := range []time.Time{token.IssuedAt, token.Expiry} {
		if at.Unix() <= 0 || at.Unix() > maxUnix {
			return nil, fmt.Errorf("%w: a logout token with an impossible time", ErrToken)
		}
	}
	if token.IssuedAt.After(time.Now().Add(p.opts.Leeway)) {
		return nil, fmt.Errorf("%w: a logout token from the future", ErrToken)
	}
	return &logout{token, p.opts.Issuer, p.opts.ClientID}, nil
}

// checkType checks the typ of the token's header. Without one, or with "JWT", it may be of any
// kind; another kind that is named is none for a logout (RFC 8725 §3.11).
func checkType(raw string) error {
	first, _, _ := strings.Cut(raw, ".")
	header, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return fmt.Errorf("%w: the header of a logout token isn't base64", ErrToken)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(header, &fields); err != nil {
		return fmt.Errorf("%w: the header of a logout token is no JSON object", ErrToken)
	}
	typ, ok := fields["typ"]
	if !ok {
		return nil
	}
	var name string
	if err := json.Unmarshal(typ, &name); err == nil && string(typ) != "null" {
		switch strings.TrimPrefix(strings.ToLower(name), "application/") {
		case "logout+jwt", "jwt":
			return nil
		}
	}
	return fmt.Errorf("%w: a token of another type than logout+jwt", ErrToken)
}

func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
}
