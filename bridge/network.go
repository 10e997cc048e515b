package bridge

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// secure reports whether cookies of the response to r carry the Secure attribute.
func (s *settings) secure(r *http.Request) bool {
	switch s.Secure {
	case SecureAlways:
		return true
	case SecureNever:
		return false
	}
	return r.TLS != nil || len(s.proxies) > 0 && s.trusted(r.RemoteAddr) && strings.EqualFold(lastOf(r.Header, "X-Forwarded-Proto"), "https")
}

// addr returns the address of the client: the last one in X-Forwarded-For that isn't a trusted proxy's, where the request
// comes from one.
func (s *settings) addr(r *http.Request) string {
	addr := r.RemoteAddr
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	if len(s.proxies) == 0 || !s.trusted(r.RemoteAddr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break // whoever wrote this is nobody to believe
		}
		addr = hop.String()
		if !s.trusted(addr) {
			break
		}
	}
	return addr
}

func (s *settings) trusted(remote string) bool {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	for _, p := range s.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// lastOf returns the last element of a comma-separated header: the one that the nearest proxy wrote.
func lastOf(h http.Header, name string) string {
	value := h.Values(name)
	if len(value) == 0 {
		return ""
	}
	last := value[len(value)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// originAllowed reports whether the page that opens a connection may (OWASP: cross-site WebSocket hijacking). Programs that
// aren't browsers send no Origin.
func (s *settings) originAllowed(r *http.Request) bool {
	header := r.Header.Get("Origin")
	if header == "" {
		return true
	}
	origin, err := url.Parse(header)
	if err != nil || origin.Host == "" {
		return false
	}
	if strings.EqualFold(origin.Host, r.Host) {
		return true
	}
	for _, pattern := range s.OriginPatterns {
		target := origin.Host
		if strings.Contains(pattern, "://") {
			target = origin.Scheme + "://" + origin.Host
		}
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(target)); ok {
			return true
		}
	}
	return false
}
