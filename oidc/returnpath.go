package oidc

import (
	"net/http"
	"net/url"
	"strings"
)

const maxReturn = 2048 // bytes

// returnPath returns the path that the visitor comes back to after the login.
func (p *Provider) returnPath(r *http.Request) string {
	if to := r.URL.Query().Get(p.opts.ReturnParam); isLocal(to) {
		return to
	}
	return p.opts.ReturnPath
}

// isLocal reports whether a redirect to the text stays on this site, in any browser. Browsers take
// "//host", "/\host" and, because they drop tabs and line breaks, "/<tab>/host" for another site.
func isLocal(to string) bool {
	if len(to) > maxReturn || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		return false
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(to)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}
