package bridge

import (
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/forwarded"
)

// secure reports whether cookies of the response to r carry the Secure attribute.
func (s *settings) secure(r *http.Request) bool {
	switch s.Secure {
	case SecureAlways:
		return true
	case SecureNever:
		return false
	}
	return s.proxies.HTTPS(r)
}

// addr returns the address of the client, as far as trusted proxies tell it.
func (s *settings) addr(r *http.Request) string { return s.proxies.Addr(r) }

// tellIgnored logs, once, that a header says something of the client and doesn't count: the proxy in front may have been forgotten
// in Options.TrustedProxies, and then all clients are one, and their cookies not Secure.
func (s *settings) tellIgnored(r *http.Request) {
	if s.toldIgnored.Load() {
		return
	}
	header := s.proxies.Ignored(r)
	if header == "" || s.toldIgnored.Swap(true) {
		return
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelWarn, "header of a peer that is not in Options.TrustedProxies ignored (logged once)",
		slog.String("header", header), slog.String("peer", forwarded.Peer(r)))
}
