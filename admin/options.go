package admin

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// DefaultAddr is the address of ListenAndServe unless Options.Addr is set.
const DefaultAddr = "127.0.0.1:7070"

// Options is how the API behaves. A zero field means its default. Handler copies it.
type Options struct {
	// App is the name of Handler's Bridge in the routes: 1 to 64 letters, digits, "_" and "-".
	// Default: "main".
	App string
	// Apps are further Bridges, by their names. Default: none.
	Apps map[string]*bridge.Bridge

	// Keys are those that open the API. Default: none, so that it answers requests from this machine
	// only: those over a loopback address or a unix socket, with the name of this machine as their
	// Host, from no other site's page, and not passed on by a proxy.
	Keys []Key
	// Addr is the address at which the handler is going to be served. Any but a loopback address needs
	// Keys: otherwise Handler returns an error. Default: DefaultAddr. Without Keys each request is
	// checked as well, so a handler that is served elsewhere refuses all.
	Addr string

	// KeyRate limits the requests per second of each key, AddrRate those of each client address, in
	// bursts of a second; an IPv6 /64 counts as one address. One beyond is answered with 429. Those of
	// forward authentication don't count. Off is no limit. Defaults: 5000 each.
	KeyRate, AddrRate float64
	// MaxBodyBytes limits the body of a request. Default: twice the largest Options.MaxValueBytes of
	// the Bridges, and 64 KiB.
	MaxBodyBytes int64

	// ForwardAuth configures GET /v1/{app}/auth.
	ForwardAuth ForwardAuth

	// Logger receives a line for each change (Info), for each request without a valid key (Warn), and
	// for each failure (Error). Sessions are named as in the log of their Bridge, by a keyed hash. No
	// line has a token, a key, a value or a user. Default: slog.Default(), as it is when a line is
	// logged.
	Logger *slog.Logger
}

// Off switches a limit off: Options.KeyRate and AddrRate.
const Off = bridge.Off

// Key opens the API to a program.
type Key struct {
	// Name is what the log calls the key: 1 to 64 letters, digits, dots, "_" and "-". It is no secret.
	Name string
	// Secret is what the program sends, in X-Api-Key or as "Authorization: Bearer SECRET". At least 26
	// characters that a header can have, such as the result of crypto/rand.Text. It is compared in
	// constant time; only its hash is kept.
	Secret string
	// Scope is what the key allows. Default: ScopeRead.
	Scope Scope
	// Apps are the apps that the key is for. Default: all.
	Apps []string
}

// Format implements fmt.Formatter. It prints no secret.
func (k Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.text()) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.text()) }

func (k Key) text() string { return fmt.Sprintf("admin.Key(%s, %s)", k.Name, k.Scope) }

// Scope is what a key allows.
type Scope int

// The scopes.
const (
	ScopeRead  Scope = iota // what changes nothing, and forward authentication
	ScopeWrite              // everything
	ScopeAuth               // forward authentication only: for the configuration of a proxy
)

// String returns read, write or auth.
func (s Scope) String() string {
	switch s {
	case ScopeRead:
		return "read"
	case ScopeWrite:
		return "write"
	case ScopeAuth:
		return "auth"
	}
	return fmt.Sprintf("Scope(%d)", int(s))
}

// allows reports whether a key with the scope s may do what needs the scope need.
func (s Scope) allows(need Scope) bool {
	return s == need || s == ScopeWrite || s == ScopeRead && need == ScopeAuth
}

// ForwardAuth configures GET /v1/{app}/auth, by which a proxy asks whether a request may pass:
// nginx with auth_request, Caddy with forward_auth, Traefik with ForwardAuth. See
// docs/forward-auth.md.
type ForwardAuth struct {
	// Values are values of the session that the backend gets: the name of a header, and the key of the
	// session whose value it has. A string is sent as it is, another value as JSON, and both with
	// percent-encoding of all but printable ASCII (and of "%"). Default: none. X-Session-Id and
	// X-Session-User are always sent.
	Values map[string]string
	// WithoutKey answers the question without a key. The browser's cookies are still needed, so it
	// tells a caller only what its own session has. Default: false, a key of any scope.
	WithoutKey bool
}

// settings are valid Options with the defaults filled in.
type settings struct {
	Options
	apps map[string]*bridge.Bridge
}

func withDefaults(b *bridge.Bridge, opts *Options) (s settings, err error) {
	if opts != nil {
		s.Options = *opts
	}
	s.App, s.Addr = cmp.Or(s.App, "main"), cmp.Or(s.Addr, DefaultAddr)
	s.KeyRate, s.AddrRate = cmp.Or(s.KeyRate, 5000), cmp.Or(s.AddrRate, 5000)
	s.apps = maps.Clone(s.Apps)
	if s.apps == nil {
		s.apps = make(map[string]*bridge.Bridge)
	}
	if s.apps[s.App] != nil {
		return s, fmt.Errorf("admin: Options.Apps has %q, the name of Handler's Bridge: set Options.App", s.App)
	}
	s.apps[s.App] = b
	largest := 0
	for name, b := range s.apps {
		if !isName(name, false) {
			return s, fmt.Errorf("admin: app %.80q: a name has 1 to 64 letters, digits, _ and -", name)
		}
		if b == nil {
			return s, fmt.Errorf("admin: app %q has no Bridge", name)
		}
		largest = max(largest, b.Options().MaxValueBytes)
	}
	s.MaxBodyBytes = cmp.Or(s.MaxBodyBytes, int64(2*largest+64<<10))
	for _, limit := range []struct {
		name  string
		value float64
	}{{"KeyRate", s.KeyRate}, {"AddrRate", s.AddrRate}} {
		if limit.value != Off && !(limit.value >= 0.001 && limit.value <= 1e9) {
			return s, fmt.Errorf("admin: Options.%s: %v is neither Off nor from 0.001 to 1e9", limit.name, limit.value)
		}
	}
	if s.MaxBodyBytes < 1 {
		return s, fmt.Errorf("admin: Options.MaxBodyBytes: %d is not positive", s.MaxBodyBytes)
	}
	if err := s.checkKeys(); err != nil {
		return s, err
	}
	s.ForwardAuth.Values = maps.Clone(s.ForwardAuth.Values)
	return s, s.ForwardAuth.check()
}

func (s *settings) checkKeys() error {
	names, secrets := map[string]bool{}, map[string]bool{}
	s.Keys = slices.Clone(s.Keys)
	for i := range s.Keys {
		k := &s.Keys[i]
		k.Apps = slices.Clone(k.Apps)
		switch {
		case !isName(k.Name, true):
			return fmt.Errorf("admin: Options.Keys[%d]: a name has 1 to 64 letters, digits, dots, _ and -", i)
		case names[k.Name]:
			return fmt.Errorf("admin: two of Options.Keys have the name %s", k.Name)
		case len(k.Secret) < 26 || len(k.Secret) > 512 || strings.ContainsFunc(k.Secret, notPrintable):
			return fmt.Errorf("admin: the secret of key %s: it must have 26 to 512 characters of ASCII "+
				"without spaces (crypto/rand.Text makes one)", k.Name)
		case secrets[k.Secret]:
			return fmt.Errorf("admin: key %s has the secret of another key", k.Name)
		case k.Scope < ScopeRead || k.Scope > ScopeAuth:
			return fmt.Errorf("admin: key %s: there is no %v", k.Name, k.Scope)
		}
		for _, app := range k.Apps {
			if s.apps[app] == nil {
				return fmt.Errorf("admin: key %s: there is no app %.80q", k.Name, app)
			}
		}
		names[k.Name], secrets[k.Secret] = true, true
	}
	if len(s.Keys) > 0 {
		return nil
	}
	return CheckKeyless(s.Addr)
}

// CheckKeyless returns an error unless the API may be served at the address without Keys: as host and
// port of a loopback interface. It is for programs that make a key of their own then.
func CheckKeyless(addr string) error {
	if isLoopback(addr) {
		return nil
	}
	return fmt.Errorf("admin: the API at %s would be open to everyone who reaches it: "+
		"set Options.Keys, or serve it at a loopback address such as %s", addr, DefaultAddr)
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }

// isName reports whether a name has 1 to 64 letters, digits, "_" and "-", perhaps dots.
func isName(name string, dots bool) bool {
	return len(name) <= 64 && (isWord(name) || dots && isWord(strings.ReplaceAll(name, ".", "-")))
}

// isWord reports whether a text consists of letters, digits, "_" and "-".
func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// isLoopback reports whether only this machine reaches the address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isThisMachine(host)
}

// isThisMachine reports whether a host name or address is that of a loopback interface.
func isThisMachine(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761 §6.3
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// Headers of forward authentication.
const (
	headerID      = "X-Session-Id"
	headerUser    = "X-Session-User"
	headerCookies = "X-Session-Set-Cookie-" // + 1, 2, …
)

func (f *ForwardAuth) check() error {
	seen := map[string]bool{headerID: true, headerUser: true}
	for header := range f.Values {
		name := http.CanonicalHeaderKey(header)
		switch {
		case !strings.HasPrefix(name, "X-") || !isName(name, false):
			return fmt.Errorf("admin: ForwardAuth.Values: %.80q must be the name of a header that begins with X-, "+
				"of letters, digits, _ and -", header)
		case seen[name] || strings.HasPrefix(name, headerCookies):
			return fmt.Errorf("admin: ForwardAuth.Values: %s is used already", name)
		}
		seen[name] = true
	}
	return nil
}

var errNoBridge = errors.New("admin: Handler needs a Bridge")
