package bridge

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// crossSite reports whether the request comes from another site in a way in which browsers don't
// send cookies of this SameSite mode (RFC 6265bis §4.1.2.7 and §5.2): with Strict none that another
// site has caused, with Lax only a navigation of the whole tab with a safe method. That it has no
// cookies then doesn't mean that the browser has none.
//
// Sec-Fetch-Site says who caused a request (W3C Fetch Metadata): "cross-site" is another site. With
// "same-origin", "same-site" (another host of the same registrable domain and scheme) and "none"
// (the address bar, a bookmark) a browser sends SameSite cookies. Where that header is missing, as
// over plain HTTP and in browsers before 2023, see crossOrigin.
func (s *settings) crossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site":
		return s.SameSite == http.SameSiteStrictMode || !topLevelGet(r)
	case "same-origin", "same-site", "none":
		return false
	}
	return (s.SameSite == http.SameSiteStrictMode || !safeMethod(r)) && s.crossOrigin(r)
}

func safeMethod(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// topLevelGet reports whether the request loads a page into a whole tab, not into a frame.
func topLevelGet(r *http.Request) bool {
	return safeMethod(r) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// crossOrigin reports whether Origin, which browsers send with a POST, or else Referer, names
// another host. One below Options.Domain is the same site; so is one in OriginPatterns, which has
// the own host where a proxy changes the Host header. A request that has neither is taken to come
// from this site: programs send neither.
func (s *settings) crossOrigin(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from != "" && len(s.OriginPatterns) > 0 && s.originAllowed(r) {
		return false
	}
	if from == "" {
		from = r.Header.Get("Referer")
	}
	if from == "" {
		return false
	}
	u, err := url.Parse(from)
	if err != nil || u.Host == "" { // "null": a sandboxed frame, or a redirect from another origin
		return true
	}
	host := u.Hostname()
	if strings.EqualFold(host, hostname(r.Host)) { // ports don't matter to cookies
		return false
	}
	domain := strings.TrimPrefix(s.Domain, ".")
	return domain == "" || !strings.EqualFold(host, domain) && !hasSuffixFold(host, "."+domain)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// hostname returns a Host header without its port, and an IPv6 address without brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
