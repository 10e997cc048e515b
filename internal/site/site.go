package site

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/pageorigin"
)

// Secure says when cookies carry the Secure attribute.
type Secure int

// The values of Secure.
const (
	Auto   Secure = iota // when the request came over TLS, or a trusted proxy says so
	Always               // always: TLS ends in front of this process
	Never
)

// Config is what the operator says of the site. Logger must be set.
type Config struct {
	Secure  Secure
	Proxies []string // see forwarded.New
	Headers forwarded.Headers
	Records forwarded.Recording // what logs may show of a client

	OriginPatterns []string // see pageorigin.Compile
	// CheckOrigin may allow an origin that OriginPatterns don't allow. Nil: it allows none.
	CheckOrigin func(*http.Request) bool

	Insecure bool // dangerous values are allowed, and WebSocket handshakes over plain HTTP
	Logger   *slog.Logger
}

// Site decides by the operator's Config. It is safe for concurrent use.
type Site struct {
	cfg     Config
	proxies forwarded.Proxies
	origins pageorigin.Patterns
	told    atomic.Bool // TellIgnored has logged its line
}

// New returns a Site. An error is made by invalid, with the name of the field in the Bridge's
// options.
func New(cfg Config, invalid func(field, format string, args ...any) error) (s *Site, err error) {
	s = &Site{cfg: cfg}
	var i int
	if s.origins, i, err = pageorigin.Compile(cfg.OriginPatterns); err != nil {
		return nil, invalid(fmt.Sprintf("OriginPatterns[%d]", i), "%w", err)
	}
	if s.proxies, i, err = forwarded.New(cfg.Proxies, cfg.Headers); err != nil {
		return nil, invalid(fmt.Sprintf("TrustedProxies[%d]", i), "%w", err)
	}
	return s, nil
}

// CheckDanger returns an error for a value that exposes credentials, unless the application insists:
// then it logs a warning.
func (s *Site) CheckDanger(invalid func(field, format string, args ...any) error) error {
	cfg := &s.cfg
	if cfg.Insecure {
		cfg.Logger.Warn("Options.DangerouslyInsecure is set: credentials may be sent without TLS, " +
			"and origins may be unchecked")
		return nil
	}
	if cfg.Secure == Never {
		return invalid("Secure", "SecureNever sends the cookies without TLS as well; SecureAuto, the default, "+
			"also works on plain HTTP. For development, DangerouslyInsecure allows it")
	}
	for i, pattern := range cfg.OriginPatterns {
		if pageorigin.AnyHost(pattern) {
			return invalid(fmt.Sprintf("OriginPatterns[%d]", i), "%q lets the pages of every host open connections "+
				"as their visitors: name the hosts, or use CheckOrigin. DangerouslyInsecure allows it", pattern)
		}
	}
	return nil
}

// Addr returns the client's address.
func (s *Site) Addr(r *http.Request) string { return s.proxies.Addr(r) }

// Secure reports whether cookies of the response to r carry the Secure attribute.
func (s *Site) Secure(r *http.Request) bool {
	return s.cfg.Secure == Always || s.cfg.Secure == Auto && s.proxies.HTTPS(r)
}

// OriginAllowed reports whether the page with the request's Origin may open a connection (OWASP:
// cross-site WebSocket hijacking). Programs that aren't browsers send no Origin, and browsers none
// for a stream that a page embeds.
func (s *Site) OriginAllowed(r *http.Request) bool {
	allowed, named := true, false
	for _, text := range r.Header["Origin"] {
		if text != "" {
			named, allowed = true, allowed && s.origins.Allows(text, r.Host, s.onHTTPS(r))
		}
	}
	if !named {
		allowed = !pageorigin.Embeds(r.Header)
	}
	return allowed || s.cfg.CheckOrigin != nil && s.cfg.CheckOrigin(r)
}

// onHTTPS reports whether the site is known to be on HTTPS. Always implies it, except on localhost,
// where browsers accept Secure cookies over plain HTTP.
func (s *Site) onHTTPS(r *http.Request) bool {
	return s.proxies.HTTPS(r) || s.cfg.Secure == Always && !pageorigin.IsLoopback(r.Host)
}

// CheckHandshake returns ErrOrigin if the page may not open a connection, and logs the message then.
// It returns ErrPlainHTTP, with a message of its own, for a WebSocket handshake that needs TLS and
// has none (ASVS 4.4.1): one that came neither over TLS nor to this machine.
func (s *Site) CheckHandshake(r *http.Request, message string) error {
	switch {
	case Upgrades(r) && !s.cfg.Insecure && !s.onHTTPS(r) && !pageorigin.IsLoopback(r.Host):
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "WebSocket handshake over plain HTTP refused: "+
			"behind a proxy that ends TLS set Options.TrustedProxies, or Secure to SecureAlways",
			slog.String("host", forwarded.Text(r.Host)))
		return errorcodes.ErrPlainHTTP
	case s.OriginAllowed(r):
		return nil
	}
	s.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, message, //nolint:sloglint // a constant of each caller
		slog.String("origin", forwarded.Text(r.Header.Get("Origin"))),
		slog.String("host", forwarded.Text(r.Host)), slog.Bool("https", s.onHTTPS(r)))
	return errorcodes.ErrOrigin
}

// Upgrades reports whether the request asks for another protocol.
func Upgrades(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}

// TellIgnored logs, once, that a header about the client was ignored. If the proxy that sets it is
// missing among the trusted ones, all clients have one address, and cookies aren't Secure.
func (s *Site) TellIgnored(r *http.Request) {
	if s.told.Load() {
		return
	}
	header := s.proxies.Ignored(r)
	if header == "" || s.told.Swap(true) {
		return
	}
	s.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn,
		"header of a peer that is not in Options.TrustedProxies ignored (logged once)",
		slog.String("header", header), slog.String("peer", s.cfg.Records.Addr(forwarded.Peer(r))))
}
