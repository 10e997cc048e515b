package bridge

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// SessionTokenHeader is the response header that brings a client without cookies its session token.
// An empty value tells the client to forget the one that it has.
const SessionTokenHeader = "Session-Token"

// Subprotocol, "sessionbridge", is what a client offers together with a token or a ticket. The
// server answers with it if it speaks none of the others, because browsers fail a handshake if none
// of their offers is accepted.
const Subprotocol = credentials.Subprotocol

// carrier is what brings a session's credentials to the server.
type carrier uint8

const (
	byCookies carrier = iota
	byToken           // of a client that does without cookies: Options.TokenFrom
	byTicket          // of a handshake: Bridge.Ticket
)

// TokenFromHeader returns an Options.TokenFrom for clients that send their token in the named
// header, with or without "Bearer " before it. A client that sends the header does without cookies;
// before it has a token the header is empty, or just "Bearer". A value of another scheme ("Basic …")
// is ignored.
//
// Browsers send such a header only for scripts of an origin that the application's CORS rules
// allow, so cross-site requests can't use it. But a script has to keep the token where other scripts
// can read it, unlike the session cookie: this is for programs that aren't web pages.
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

// presentsNoCookies reports whether the client does without cookies, and if so reads what it presents instead. A ticket comes before all else: it is never mistaken for nothing.
func (rq *request) presentsNoCookies(r *http.Request) bool {
	if len(r.Header[credentials.ProtocolHeader]) > 0 {
		if ticket, ok := credentials.Offered(r, credentials.TicketPrefix); ok {
			rq.carrier, rq.text = byTicket, ticket
			return true
		}
	}
	b := rq.b
	if b.opts.TokenFrom == nil {
		return false
	}
	reads := &credentials.HeaderReads{Context: r.Context()}
	text, ok := b.opts.TokenFrom(r.WithContext(reads))
	rq.reads = reads.Names
	if !ok {
		return false
	}
	rq.carrier, rq.text = byToken, text
	if cred, ok := b.codec.ReadToken(text, rq.secure); ok {
		rq.presented.sessions = append(rq.presented.oneSession[:0], cred)
	} else if text != "" {
		rq.refused(CredentialRejected{Credential: CredentialToken, Reason: RejectedSignature})
		b.opts.Logger.LogAttrs(r.Context(), slog.LevelDebug, "session token refused: its signature doesn't hold")
	}
	return true
}

// setToken tells a client without cookies of its new token, or that it has none any more. A ticket's has none to keep. The lock is held.
func (rq *request) setToken(h http.Header) (err error) {
	change := rq.cookie
	if rq.depends() || change != cookieStays {
		varyOn(h, rq.reads...)
		if len(rq.reads) == 0 { // whatever it depends on, a cache doesn't know it
			if h.Get("Cache-Control") == "" {
				h.Set("Cache-Control", "no-store")
			}
			varyOn(h, "*") // also where the handler lets caches keep it
		}
	}
	rq.cookie = cookieStays
	if change == cookieStays || rq.carrier != byToken {
		return nil
	}
	rq.keepFromCaches(h)
	text := ""
	if change == cookieSet {
		if _, text, err = rq.b.codec.SealSession(rq.secure, rq.cred); err != nil {
			return err
		}
		text = strings.TrimRight(text, "=") // not allowed in the name of a subprotocol
	}
	rq.kept = []string{text}
	h[SessionTokenHeader] = rq.kept
	return nil
}

// secretOffer reports whether a subprotocol that the client offers holds what it presents.
func (rq *request) secretOffer(name string) bool {
	return strings.HasPrefix(name, credentials.TicketPrefix) || rq.carrier == byToken && rq.text != "" && strings.HasSuffix(name, rq.text)
}

// answerProtocol takes secrets out of the subprotocols that r's client offers, before an upgrader sees them, and puts Subprotocol into the answer if nothing else is left
// to choose from.
func (rq *request) answerProtocol(answer http.Header, r *http.Request) {
	names := credentials.OfferedProtocols(r.Header)
	open := slices.DeleteFunc(slices.Clone(names), rq.secretOffer)
	if len(open) == len(names) {
		return
	}
	if len(open) == 0 {
		r.Header.Del(credentials.ProtocolHeader)
		return
	}
	r.Header[credentials.ProtocolHeader] = []string{strings.Join(open, ", ")}
	if len(open) == 1 && open[0] == Subprotocol {
		answer[credentials.ProtocolHeader] = []string{Subprotocol}
	}
}
