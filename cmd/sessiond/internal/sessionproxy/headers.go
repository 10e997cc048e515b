package sessionproxy

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// prefix begins the names of headers about the session, as spelling returns them.
const prefix = "x-session-"

// spelling returns a header's name as backends may read it: many, after the CGI (RFC 3875), make no
// difference between "-" and "_", and some replace all but letters and digits, as PHP does with ".".
func spelling(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

// isReserved reports whether only the proxy may set the header.
func (p *Proxy) isReserved(name string) bool {
	name = spelling(name)
	return strings.HasPrefix(name, prefix) || p.reserved[name]
}

// toBackend makes the headers of a client those that the backend gets.
func (x *exchange) toBackend(h http.Header) {
	for name := range h {
		if s := spelling(name); x.p.isReserved(name) || s == "forwarded" || s == "x-real-ip" ||
			s == "session-token" || strings.HasPrefix(s, "x-forwarded-") {
			delete(h, name)
		}
	}
	x.p.dropCookies(h)
	scheme := "http"
	if x.p.proxies.HTTPS(x.r) {
		scheme = "https"
	}
	h.Set("X-Forwarded-For", x.p.proxies.Addr(x.r))
	h.Set("X-Forwarded-Host", x.r.Host)
	h.Set("X-Forwarded-Proto", scheme)
	var known *bridge.Session
	if !x.session.IsNew() {
		known = x.session
	}
	x.p.opts.Headers.SetHeaders(h, known)
	if x.p.opts.TrustBackend {
		h.Set(headerGrant, x.grant)
	}
}

// dropCookies removes the Bridge's cookies, which are secrets that the backend doesn't need.
func (p *Proxy) dropCookies(h http.Header) {
	lines := h["Cookie"]
	h.Del("Cookie")
	var kept []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if part = strings.TrimSpace(part); part != "" && !p.isOwnCookie(name) {
				kept = append(kept, part)
			}
		}
	}
	if len(kept) > 0 {
		h.Set("Cookie", strings.Join(kept, "; "))
	}
}

// isOwnCookie reports whether the name is that of a cookie of the Bridge, with any prefix.
func (p *Proxy) isOwnCookie(name string) bool {
	name = strings.TrimSpace(name)
	if strings.HasPrefix(name, "__") {
		_, name, _ = strings.Cut(name, "-")
	}
	return slices.Contains(p.names, name)
}

// toClient makes the headers of the backend those that the client gets, and returns those about the
// session, which it doesn't get.
func (p *Proxy) toClient(h http.Header) (about http.Header) {
	about = make(http.Header)
	for name, values := range h {
		if s := spelling(name); strings.HasPrefix(s, prefix) {
			s = http.CanonicalHeaderKey(s)
			about[s] = append(about[s], values...)
			delete(h, name)
		}
	}
	if cookies := h["Set-Cookie"]; len(cookies) > 0 {
		h["Set-Cookie"] = slices.DeleteFunc(cookies, func(line string) bool {
			name, _, _ := strings.Cut(line, "=")
			return p.isOwnCookie(name)
		})
	}
	return about
}

// dropHopByHop removes the headers that are for one connection only (RFC 9110, section 7.6.1), and
// those of the handshake of a WebSocket, which each connection has of its own.
func dropHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for name := range h {
		switch spelling(name) {
		case "connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te",
			"trailer", "transfer-encoding", "upgrade", "content-length":
			delete(h, name)
		}
		if strings.HasPrefix(spelling(name), "sec-websocket-") {
			delete(h, name)
		}
	}
}

// informed is a Transport whose informational responses (103 Early Hints) have no headers about the
// session either.
type informed struct {
	http.RoundTripper
	p *Proxy
}

func (t informed) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error { // before that of ReverseProxy
			t.p.toClient(http.Header(header))
			return nil
		},
	})
	return t.RoundTripper.RoundTrip(r.WithContext(ctx))
}
