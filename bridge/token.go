package bridge

import (
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// SessionTokenHeader is the response header that brings a client without cookies its session token.
// An empty value tells the client to forget the one that it has.
const SessionTokenHeader = credentials.TokenHeader

// Subprotocol, "sessionbridge", is what a client offers together with a token or a ticket. The
// server answers with it if it speaks none of the others, because browsers fail a handshake if none
// of their offers is accepted.
const Subprotocol = credentials.Subprotocol

// TokenFromHeader returns an Options.TokenFrom for clients that send their token in the named
// header, with or without "Bearer " before it. A client that sends the header does without cookies;
// before it has a token the header is empty, or just "Bearer". A value of another scheme
// ("Basic …") is ignored.
//
// Browsers send such a header only for scripts of an origin that the application's CORS rules
// allow, so cross-site requests can't use it. But a script has to keep the token where other
// scripts can read it, unlike the session cookie: this is for programs that aren't web pages.
func TokenFromHeader(name string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromHeader(name)
}

// TokenFromProtocol returns an Options.TokenFrom for WebSocket clients that can't set headers at a
// handshake. They offer a subprotocol that consists of the prefix and the token, and Subprotocol
// with it, because the server has to accept one of the offers. "" is the prefix
// "sessionbridge.token.".
func TokenFromProtocol(prefix string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromProtocol(prefix)
}
