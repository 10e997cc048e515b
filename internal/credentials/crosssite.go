package credentials

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// crossSite reports whether the request comes from another site in a way in which browsers don't
// send cookies of this SameSite mode (RFC 6265bis §4.1.2.7 and §5.2): with Strict every request
// that another site has caused, with Lax every such request except a navigation of the whole tab
// with a safe method. Then the browser may have cookies although the request has none.
//
// Sec-Fetch-Site says which site caused a request (W3C Fetch Metadata): "cross-site" is another
// site. With "same-origin", "same-site" (another host of the same registrable domain and scheme)
// and "none" (the address bar, a bookmark) a browser sends SameSite cookies. If that header is
// missing, as over plain HTTP and in browsers before 2023, crossOrigin decides.
func (c *Codec) crossSite(to *Response) bool {
	r := to.Request
	strict := c.cfg.SameSite == http.SameSiteStrictMode
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site":
		return strict || !topLevelGet(r)
	case "same-origin", "same-site", "none":
		return false
	}
	return (strict || !safeMethod(r)) && c.crossOrigin(to)
}

// MayLackCookies reports whether the browser may have cookies that it hasn't sent with r, the request
// that p was read from, because another site has caused it. It runs the application's code, as
// AskOrigin.
func (p *Presented) MayLackCookies(r *http.Request) bool {
	to := Response{Request: r}
	p.codec.AskOrigin(&to)
	return p.codec.cookiesWithheld(&to)
}

// AskOrigin calls Config.OriginAllowed if WriteTo may need the result. It runs the application's
// code: the caller holds no lock.
func (c *Codec) AskOrigin(to *Response) {
	r := to.Request
	if r == nil || c.cfg.OriginAllowed == nil || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") == "" {
		return
	}
	if c.cfg.SameSite == http.SameSiteStrictMode || !safeMethod(r) {
		to.originAllowed = c.cfg.OriginAllowed(r)
	}
}

func safeMethod(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// topLevelGet reports whether the request loads a page into a whole tab, not into a frame.
func topLevelGet(r *http.Request) bool {
	return safeMethod(r) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// crossOrigin reports whether Origin, which browsers send with a POST, or else Referer, names
// another host. A host below the cookies' domain is the same site, and so is one that OriginAllowed
// accepts, such as the site's own host if a proxy changes the Host header. A request that has
// neither header counts as one of this site: programs send neither.
func (c *Codec) crossOrigin(to *Response) bool {
	r := to.Request
	from := r.Header.Get("Origin")
	if to.originAllowed {
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
	if strings.EqualFold(host, hostname(r.Host)) { // cookies don't depend on the port
		return false
	}
	domain := strings.TrimPrefix(c.cfg.Domain, ".")
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
