package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
)

// SessionTokenHeader is the response header that brings a client without cookies its session token, or, being empty, tells it to forget the one that it has.
const SessionTokenHeader = "Session-Token"

// carrier is what brings a session's credentials to the server.
type carrier uint8

const (
	byCookies carrier = iota
	byToken           // of a client that does without cookies: Options.TokenFrom
	byTicket          // of a handshake: Bridge.Ticket
)

// TokenFromHeader returns an Options.TokenFrom for clients that send their token in the named header, with or without "Bearer " before it. Whoever sends the
// header does without cookies; to begin with, it is empty, or just "Bearer". A value of another scheme ("Basic …") is none of ours.
//
// Browsers send such a header only for scripts of an origin that the application's CORS rules allow, so cross-site requests can't use it. But a script has to keep the
// token where other scripts can read it, which the session cookie spares it: this is for programs that aren't web pages.
func TokenFromHeader(name string) func(r *http.Request) (token string, ok bool) {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, bool) {
		noteRead(r, name)
		values := r.Header[name]
		if len(values) == 0 {
			return "", false
		}
		token := strings.TrimSpace(values[0])
		if scheme, rest, _ := strings.Cut(token, " "); strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(rest)
		}
		return token, !strings.Contains(token, " ")
	}
}

// TokenFromProtocol returns an Options.TokenFrom for sockets of clients that can't set headers at a handshake: they offer a subprotocol that is the prefix and the
// token behind it, and Subprotocol with it, as one of those offered has to be answered with. "" is the prefix "sessionbridge.token.".
func TokenFromProtocol(prefix string) func(r *http.Request) (token string, ok bool) {
	if prefix == "" {
		prefix = "sessionbridge.token."
	}
	return func(r *http.Request) (string, bool) {
		noteRead(r, protocolHeader)
		return offered(r, prefix)
	}
}

// headerReads collects the names of the headers that decide about a client's token: a cache must know them.
type headerReads struct {
	context.Context
	names []string
}

type headerReadsKey struct{}

// Value implements context.Context.
func (h *headerReads) Value(key any) any {
	if key == (headerReadsKey{}) {
		return h
	}
	return h.Context.Value(key)
}

func noteRead(r *http.Request, name string) {
	if h, ok := r.Context().Value(headerReadsKey{}).(*headerReads); ok {
		h.names = append(h.names, name)
	}
}

// presentsNoCookies reports whether the client does without cookies, and if so reads what it presents instead. A ticket comes before all else: it is never mistaken for nothing.
func (rq *request) presentsNoCookies(r *http.Request) bool {
	if len(r.Header[protocolHeader]) > 0 {
		if ticket, ok := offered(r, ticketPrefix); ok {
			rq.carrier, rq.text = byTicket, ticket
			return true
		}
	}
	b := rq.b
	if b.opts.TokenFrom == nil {
		return false
	}
	reads := &headerReads{Context: r.Context()}
	text, ok := b.opts.TokenFrom(r.WithContext(reads))
	rq.reads = reads.names
	if !ok {
		return false
	}
	rq.carrier, rq.text = byToken, text
	if cred, ok := b.cookies.readToken(text, rq.secure); ok {
		rq.presented.sessions = append(rq.presented.oneSession[:0], cred)
	} else if text != "" {
		rq.refused(CredentialRejected{Credential: CredentialToken, Reason: RejectedSignature})
		b.opts.Logger.LogAttrs(r.Context(), slog.LevelDebug, "session token refused: its signature doesn't hold")
	}
	return true
}

// readToken returns what a token says: it is the value of a session cookie, its padding perhaps stripped.
func (c *cookies) readToken(text string, secure bool) (cred credentials, ok bool) {
	if text = strings.TrimRight(text, "="); text == "" || len(text) > maxSigned {
		return cred, false
	}
	text += "==="[:-len(text)&3]
	var v signedValue
	for _, key := range c.sessionVerifier {
		if key.verify(c.name(c.opts.Name, secure), text, &v) {
			cred = openedSession(&v)
			return cred, cred.id != ""
		}
	}
	return cred, false
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
		if _, text, err = rq.b.cookies.sealSession(rq.secure, rq.cred); err != nil {
			return err
		}
		text = strings.TrimRight(text, "=") // not allowed in the name of a subprotocol
	}
	rq.kept = []string{text}
	h[SessionTokenHeader] = rq.kept
	return nil
}
