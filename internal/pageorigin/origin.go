package pageorigin

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// origin is a parsed Origin header.
type origin struct {
	scheme string
	host   string // canonical; for schemes other than http and https everything after "://"
	port   string // "" for the default of the scheme
}

func (o *origin) web() bool { return isWeb(o.scheme) }

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

// parse parses an Origin header. It rejects one with a path, a query or user information.
func parse(text string) (o origin, ok bool) {
	scheme, rest, found := strings.Cut(strings.ToLower(text), "://")
	if !found || scheme == "" || rest == "" || strings.Trim(scheme, letters+digits+"+.-") != "" {
		return o, false
	}
	o.scheme = scheme
	if !o.web() {
		o.host = rest
		return o, strings.Trim(rest, letters+digits+"-._~:") == ""
	}
	o.host, o.port, ok = split(rest)
	if o.port == defaultPort(scheme) {
		o.port = ""
	}
	return o, ok
}

const (
	letters = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
)

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// split returns the canonical host and the port of text, "" without a port.
func split(text string) (host, port string, ok bool) {
	text = strings.ToLower(text)
	if inner, bracket := strings.CutPrefix(text, "["); bracket {
		literal, rest, closed := strings.Cut(inner, "]")
		ip, err := netip.ParseAddr(literal)
		if !closed || err != nil || !ip.Is6() || ip.Zone() != "" || rest != "" && rest[0] != ':' {
			return "", "", false
		}
		host, text = "["+ip.String()+"]", rest
	} else {
		host, _, _ = strings.Cut(text, ":")
		text = text[len(host):]
		host = strings.TrimSuffix(host, ".")
		if host == "" || strings.Trim(host, letters+digits+"-._") != "" {
			return "", "", false
		}
	}
	if port = strings.TrimPrefix(text, ":"); port != "" {
		if port, ok = number(port); !ok {
			return "", "", false
		}
	}
	return host, port, true
}

// number returns a port without leading zeros.
func number(port string) (string, bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strings.Trim(port, digits) != "" {
		return "", false
	}
	return strconv.FormatUint(n, 10), true
}

// same reports whether o is the origin of the host in a request's Host header.
func (o *origin) same(host string, https bool) bool {
	if !o.web() || https && o.scheme == "http" {
		return false
	}
	name, port, ok := split(host)
	if port == defaultPort(o.scheme) {
		port = ""
	}
	return ok && name == o.host && port == o.port
}

// Embeds reports whether a page of another origin has the request made for a part of itself, such as
// an image or a script, whose content it can't read. Such a request has no Origin, only the headers
// Sec-Fetch-Site and Sec-Fetch-Mode (W3C Fetch Metadata).
func Embeds(h http.Header) bool {
	switch h.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return h.Get("Sec-Fetch-Mode") == "no-cors"
	}
	return false
}

// IsLoopback reports whether the host, which may have a port, is this machine, for which browsers
// treat plain HTTP like TLS.
func IsLoopback(host string) bool {
	name, _, ok := split(host)
	if !ok {
		return false
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
