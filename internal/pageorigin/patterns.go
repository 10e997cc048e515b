package pageorigin

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Patterns are the origins that may open connections in addition to the server's own. The zero
// Patterns has none. It is safe for concurrent use.
type Patterns struct {
	exact []string // origins without a host: null, file://
	hosts []pattern
}

// pattern is for path.Match.
type pattern struct {
	scheme string // "" for any, except for http if the site is on HTTPS
	host   string // with the port, if there is one
}

// Compile parses patterns. Each is a host, or scheme://host, and both may have the wildcards of
// path.Match. Without a port it matches the default port of the scheme. IPv6 addresses may be in
// brackets, and a trailing slash is ignored. An origin without a host, null or file://, is matched
// literally and by no wildcard. An error is about the first pattern that could never match, or is
// misleading. The pattern's index is returned with it.
func Compile(texts []string) (p Patterns, index int, err error) {
	for i, text := range texts {
		if err := p.add(text); err != nil {
			return Patterns{}, i, fmt.Errorf("%q %w", text, err)
		}
	}
	return p, 0, nil
}

const wildcards = "*?[]^"

func (p *Patterns) add(text string) error {
	text = strings.NewReplacer(`\[`, "[", `\]`, "]").Replace(strings.ToLower(text)) // path.Match needs brackets escaped
	for _, c := range text {
		if c > '~' {
			return errors.New(`is not ASCII: write the host as browsers send it, in Punycode ("xn--…")`)
		}
	}
	if text == "null" {
		p.exact = append(p.exact, text)
		return nil
	}
	scheme, rest, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		scheme, rest = "", text
	}
	rest = strings.TrimSuffix(rest, "/")
	switch {
	case hasScheme && (scheme == "" || strings.Trim(scheme, letters+digits+"+.-"+wildcards) != ""):
		return errors.New("has no scheme before ://")
	case scheme == "ws" || scheme == "wss":
		return errors.New("is no origin: the Origin of a page has http or https, also when it opens a WebSocket")
	case hasScheme && rest == "" && !isWeb(scheme) && !strings.ContainsAny(scheme, wildcards):
		p.exact = append(p.exact, scheme+"://")
		return nil
	case strings.Contains(rest, "/"):
		return errors.New("has a path, which no Origin has")
	}
	host := rest
	var err error
	if scheme == "" || isWeb(scheme) || strings.ContainsAny(scheme, wildcards) {
		host, err = compileHost(rest)
	} else if rest == "" || strings.Trim(rest, letters+digits+"-._~:"+wildcards) != "" {
		err = errNoHost
	}
	if err == nil {
		_, err = path.Match(host, "")
	}
	if err == nil {
		_, err = path.Match(scheme, "")
	}
	if errors.Is(err, path.ErrBadPattern) {
		err = errors.New("is no pattern for path.Match")
	}
	if err == nil {
		p.hosts = append(p.hosts, pattern{scheme, host})
	}
	return err
}

var errNoHost = errors.New("names no host")

// compileHost returns a pattern for the host and the port, if there is one, of an http or https
// origin.
func compileHost(text string) (string, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() {
		text = "[" + text + "]"
	}
	host, port, hasPort := "", "", false
	if inner, rest, closed := strings.Cut(text, "]"); closed && text[0] == '[' && strings.Contains(inner, ":") {
		ip, err := netip.ParseAddr(inner[1:])
		if err != nil || !ip.Is6() || ip.Zone() != "" || rest != "" && rest[0] != ':' {
			return "", errors.New("has brackets with no IPv6 address in them")
		}
		host = `\[` + ip.String() + `\]`
		port, hasPort = strings.CutPrefix(rest, ":")
	} else {
		host, port, hasPort = strings.Cut(text, ":")
		host = strings.TrimSuffix(host, ".")
		if host == "" || host[0] == '.' || strings.Contains(host, "..") ||
			strings.Trim(host, letters+digits+"-._"+wildcards) != "" {
			return "", errNoHost
		}
	}
	if !hasPort {
		return host, nil
	}
	if strings.Trim(port, digits) == "" {
		var ok bool
		if port, ok = number(port); !ok {
			return "", errors.New("has no port behind its colon")
		}
	} else if strings.Trim(port, digits+wildcards+"-") != "" {
		return "", errors.New("has no port behind its colon")
	}
	return host + ":" + port, nil
}

// Allows reports whether a page of the origin may open a connection to the host of the request.
// https reports whether the site is on HTTPS.
func (p *Patterns) Allows(text, host string, https bool) bool {
	o, ok := parse(text)
	if !ok {
		return slices.Contains(p.exact, strings.ToLower(text))
	}
	return o.same(host, https) || slices.ContainsFunc(p.hosts, func(p pattern) bool { return p.matches(&o, https) })
}

func (p *pattern) matches(o *origin, https bool) bool {
	if p.scheme == "" {
		if https && o.scheme == "http" {
			return false
		}
	} else if ok, _ := path.Match(p.scheme, o.scheme); !ok {
		return false
	}
	with := func(port string) bool {
		target := o.host
		if port != "" {
			target += ":" + port
		}
		ok, _ := path.Match(p.host, target)
		return ok
	}
	return with(o.port) || o.port == "" && o.web() && with(defaultPort(o.scheme))
}

// AnyHost reports whether the pattern, which Compile accepts, matches hosts that have nothing in
// common.
func AnyHost(pattern string) bool {
	p, _, err := Compile([]string{pattern})
	if err != nil {
		return false
	}
	for _, scheme := range []string{"http", "https"} {
		if p.Allows(scheme+"://a0.invalid", "", false) && p.Allows(scheme+"://zz.b1.test", "", false) {
			return true
		}
	}
	return false
}
