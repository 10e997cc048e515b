package credentials

import (
	"net/http"
	"net/textproto"
	"strings"
)

// cookieValues iterates over the values of a request's cookies of one name: those that
// http.Request.CookiesNamed returns, without allocating. There may be any number of cookies, where
// net/http reads none if there are more than 3000.
type cookieValues struct {
	name  string
	lines []string // of the header, after the current one
	line  string   // what is left of the current one
}

func cookiesNamed(r *http.Request, name string) cookieValues {
	return cookieValues{name: name, lines: r.Header["Cookie"]}
}

// next returns the next value; false after the last one.
func (c *cookieValues) next() (value string, ok bool) {
	for {
		for c.line == "" {
			if len(c.lines) == 0 {
				return "", false
			}
			c.line, c.lines = textproto.TrimString(c.lines[0]), c.lines[1:]
		}
		var part string
		part, c.line, _ = strings.Cut(c.line, ";")
		name, value, _ := strings.Cut(textproto.TrimString(part), "=")
		if textproto.TrimString(name) != c.name {
			continue
		}
		if value, ok = cookieValue(value); ok {
			return value, true
		}
	}
}

// cookieValue returns a value without its quotes; false if no cookie may have it.
func cookieValue(raw string) (value string, ok bool) {
	if len(raw) > 1 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	for i := range len(raw) {
		if b := raw[i]; b < 0x20 || b >= 0x7f || b == '"' || b == '\\' {
			return "", false
		}
	}
	return raw, true
}

// equal reports whether both have the same values, and whether c has any.
func (c cookieValues) equal(other cookieValues) (equal, some bool) {
	for {
		a, ok := c.next()
		b, otherOK := other.next()
		if ok != otherOK || a != b {
			return false, some || ok
		}
		if !ok {
			return true, some
		}
		some = true
	}
}
