package bridge

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/pageorigin"
)

const day = 24 * time.Hour

// settings are Options with every default filled in.
type settings struct {
	Options
	proxies forwarded.Proxies
	origins pageorigin.Patterns

	toldIgnored atomic.Bool // tellIgnored has logged
}

// bad returns an error that names the field.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("bridge: Options."+field+": "+format, args...)
}

// secure reports whether cookies of the response to r carry the Secure attribute.
func (s *settings) secure(r *http.Request) bool {
	return s.Secure == SecureAlways || s.Secure == SecureAuto && s.proxies.HTTPS(r)
}

// tellIgnored logs, once, that a header about the client was ignored. If the proxy that sets it is
// missing in Options.TrustedProxies, all clients have one address, and cookies aren't Secure.
func (s *settings) tellIgnored(r *http.Request) {
	if s.toldIgnored.Load() {
		return
	}
	header := s.proxies.Ignored(r)
	if header == "" || s.toldIgnored.Swap(true) {
		return
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelWarn,
		"header of a peer that is not in Options.TrustedProxies ignored (logged once)",
		slog.String("header", header), slog.String("peer", forwarded.Peer(r)))
}

// originAllowed reports whether the page with the request's Origin may open a connection (OWASP:
// cross-site WebSocket hijacking). Programs that aren't browsers send no Origin.
func (s *settings) originAllowed(r *http.Request) bool {
	for _, text := range r.Header["Origin"] {
		if text != "" && !s.origins.Allows(text, r.Host, s.onHTTPS(r)) {
			return s.CheckOrigin != nil && s.CheckOrigin(r)
		}
	}
	return true
}

// onHTTPS reports whether the site is known to be on HTTPS. SecureAlways implies it, except on
// localhost, where browsers accept Secure cookies over plain HTTP.
func (s *settings) onHTTPS(r *http.Request) bool {
	return s.proxies.HTTPS(r) || s.Secure == SecureAlways && !pageorigin.IsLoopback(r.Host)
}

// checkOrigin returns ErrOrigin if the page may not open a connection, and logs the message then.
func (s *settings) checkOrigin(r *http.Request, message string) error {
	if s.originAllowed(r) {
		return nil
	}
	from := r.Header.Get("Origin")
	s.Logger.LogAttrs(r.Context(), slog.LevelWarn, message, //nolint:sloglint // a constant of each caller
		slog.String("origin", from[:min(len(from), 256)]),
		slog.String("host", r.Host), slog.Bool("https", s.onHTTPS(r)))
	return ErrOrigin
}
