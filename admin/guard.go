package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
)

// headerKey is another header for a key, where Authorization has another meaning.
const headerKey = "X-Api-Key"

// guard decides who may call the API.
type guard struct {
	keys   []heldKey
	hashes [][sha256.Size]byte // of the secrets, in the order of keys
	cross  *http.CrossOriginProtection
}

// heldKey is a Key without its secret. A nil heldKey is a caller on this machine that needs none.
type heldKey struct {
	name  string
	scope Scope
	apps  []string
}

// isFor reports whether the key is for the app.
func (k *heldKey) isFor(app string) bool {
	return k == nil || len(k.apps) == 0 || slices.Contains(k.apps, app)
}

func newGuard(keys []Key) guard {
	g := guard{cross: http.NewCrossOriginProtection()}
	for _, k := range keys {
		g.keys = append(g.keys, heldKey{k.Name, k.Scope, k.Apps})
		g.hashes = append(g.hashes, sha256.Sum256([]byte(k.Secret)))
	}
	return g
}

// find returns the key with the secret, nil if there is none. It compares the hash with that of
// each key, so that the time tells nothing about any of them.
func (g *guard) find(secret string) *heldKey {
	hash, found := sha256.Sum256([]byte(secret)), -1
	for i := range g.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], g.hashes[i][:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &g.keys[found]
}

// admit sets the key of the call, or returns the error for a caller that may not do what needs the
// scope.
func (g *guard) admit(a *api, c *call, need Scope) error {
	if len(g.keys) == 0 {
		return g.local(a, c, need)
	}
	secret, shown := secretOf(c.r)
	if key := g.find(secret); shown && key != nil {
		c.key = key
		switch {
		case !key.scope.allows(need):
			c.w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			return &problem{Status: http.StatusForbidden, Detail: "The key's scope doesn't allow this."}
		case need != ScopeAuth && !a.limits.key(key.name):
			return tooMany("There are too many requests with this key.")
		}
		return nil
	}
	if !a.limits.failure(c.r.RemoteAddr) {
		return tooMany("There are too many requests without a valid key from this address.")
	}
	a.logger().LogAttrs(c.r.Context(), slog.LevelWarn, "admin request without a valid key",
		slog.String("addr", hostOf(c.r.RemoteAddr)), slog.Bool("shown", shown))
	challenge, detail := `Bearer realm="sessions"`, "The request needs a key: Authorization: Bearer …"
	if shown {
		challenge, detail = challenge+`, error="invalid_token"`, "The key is not valid."
	}
	c.w.Header().Set("WWW-Authenticate", challenge)
	return &problem{Status: http.StatusUnauthorized, Detail: detail}
}

// secretOf returns the secret that the request shows: that of X-Api-Key, or without this header a
// bearer token. A request with several lines of the header shows none that is valid.
func secretOf(r *http.Request) (secret string, shown bool) {
	bearer, own := r.Header["Authorization"], r.Header[headerKey]
	switch {
	case len(own) > 1, len(own) == 0 && len(bearer) > 1:
		return "", true
	case len(own) == 1:
		return own[0], true
	case len(bearer) == 1:
		if scheme, secret, ok := strings.Cut(bearer[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimLeft(secret, " "), true
		}
	}
	return "", false
}

// forwardingHeaders are set by proxies.
var forwardingHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}

// local returns an error unless the request comes from a program on this machine: without keys
// nothing else protects the API. A page in a browser here must not use it either. A page of another
// site that has the name of its host resolved to this machine (DNS rebinding) still sends that name
// as the Host. A proxy asks for forward authentication in the name of others, with their headers.
func (g *guard) local(a *api, c *call, need Scope) error {
	refused := func(detail string) error {
		if !a.limits.failure(c.r.RemoteAddr) {
			return tooMany("There are too many requests that are refused from this address.")
		}
		a.logger().LogAttrs(c.r.Context(), slog.LevelWarn, "admin request refused: without Options.Keys, "+
			"only programs on this machine are answered", slog.String("addr", hostOf(c.r.RemoteAddr)))
		return &problem{Status: http.StatusForbidden, Detail: detail}
	}
	if !isLocal(c.r) {
		return refused("The API has no keys, and answers requests from its own machine only.")
	}
	if need == ScopeAuth {
		return nil
	}
	for _, name := range forwardingHeaders {
		if len(c.r.Header[name]) > 0 {
			return refused("The API has no keys, and answers no requests that a proxy passes on.")
		}
	}
	host, _, err := net.SplitHostPort(c.r.Host)
	if err != nil {
		host = c.r.Host
	}
	site := c.r.Header.Get("Sec-Fetch-Site")
	if !isThisMachine(host) || g.cross.Check(c.r) != nil || site != "" && site != "same-origin" && site != "none" {
		return refused("The API has no keys, and answers no pages of other sites.")
	}
	return nil
}

// isLocal reports whether both ends of the connection are on this machine.
func isLocal(r *http.Request) bool {
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return local.IP.IsLoopback() && isThisMachine(hostOf(r.RemoteAddr))
	}
	return false
}

// hostOf returns the address without its port.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
