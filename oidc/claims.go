package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Claims are what the provider has said about a user at a login, verified. As for Options, fmt and
// slog print none of them.
type Claims struct {
	Issuer    string // Options.Issuer
	Subject   string // the user at the provider: stable, and unique for the issuer
	SessionID string // the session at the provider (sid); "" if it doesn't say

	IDToken *gooidc.IDToken // the other claims: see its method Claims
	Token   *oauth2.Token   // access token and, if requested, refresh token
	rawID   string
}

// Decode reads all claims of the ID token into dst, as encoding/json does with an object.
func (c *Claims) Decode(dst any) error {
	if err := c.IDToken.Claims(dst); err != nil {
		return fmt.Errorf("oidc: decode the claims: %w", err)
	}
	return nil
}

// Format implements fmt.Formatter.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "oidc.Claims") }

// LogValue implements slog.LogValuer.
func (c Claims) LogValue() slog.Value { return slog.StringValue("oidc.Claims") }

const maxUserID = 255 // bytes: see Session.Login

// UserIDOf returns the user ID that Options.UserID gives a login by default: issuer + "#" +
// subject, or a hash of it if that is too long for Session.Login. Different users have different
// IDs: an issuer contains no "#".
func UserIDOf(issuer, subject string) string {
	id := issuer + "#" + subject
	if len(id) <= maxUserID && utf8.ValidString(id) && !strings.Contains(id, "\x00") {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "oidc-sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// verify returns the claims of the tokens that answer the flow.
func (p *Provider) verify(ctx context.Context, token *oauth2.Token, f *flow) (*Claims, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, fmt.Errorf("%w: the provider has sent no ID token", ErrToken)
	}
	idToken, err := verified(ctx, raw, p.verifier.Verify)
	if err != nil {
		return nil, err
	}
	var more struct {
		SID   string          `json:"sid"`
		Party string          `json:"azp"`
		Event json.RawMessage `json:"events"`
	}
	if err := idToken.Claims(&more); err != nil {
		return nil, fmt.Errorf("%w: the claims of the ID token: %w", ErrToken, err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(f.Nonce)) != 1:
		return nil, fmt.Errorf("%w: the ID token is of another login (nonce)", ErrToken)
	case idToken.Subject == "":
		return nil, fmt.Errorf("%w: the ID token has no subject", ErrToken)
	case more.Party != "" && more.Party != p.opts.ClientID:
		return nil, fmt.Errorf("%w: the ID token was issued to another client (azp)", ErrToken)
	case more.Event != nil:
		return nil, fmt.Errorf("%w: a token with events is no ID token", ErrToken)
	case idToken.IssuedAt.IsZero():
		return nil, fmt.Errorf("%w: the ID token has no iat", ErrToken)
	case idToken.IssuedAt.After(time.Now().Add(p.opts.Leeway)):
		return nil, fmt.Errorf("%w: the ID token is from the future", ErrToken)
	}
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, fmt.Errorf("%w: the access token isn't that of the ID token", ErrToken)
		}
	}
	return &Claims{p.opts.Issuer, idToken.Subject, more.SID, idToken, token, raw}, nil
}
