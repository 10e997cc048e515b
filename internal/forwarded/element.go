package forwarded

import "strings"

// element is the description of one connection in Forwarded.
type element struct {
	from, proto       string
	hasFrom, hasProto bool
}

// parseElement parses a forwarded-element (RFC 7239 §4). It accepts values without the required
// quotes, such as IPv6 addresses, because some proxies send them. It rejects duplicate parameters
// and misplaced quotes.
func parseElement(text string) (e element, ok bool) {
	for text != "" {
		name, rest, found := strings.Cut(text, "=")
		if !found {
			return element{}, false
		}
		var value string
		if value, text, ok = cutValue(rest); !ok {
			return element{}, false
		}
		switch name = strings.Trim(name, " \t"); {
		case strings.EqualFold(name, "for"):
			if e.hasFrom {
				return element{}, false
			}
			e.from, e.hasFrom = value, true
		case strings.EqualFold(name, "proto"):
			if e.hasProto {
				return element{}, false
			}
			e.proto, e.hasProto = value, true
		}
	}
	return e, true
}

// cutValue returns the parameter's value at the beginning of text, and what follows its semicolon.
func cutValue(text string) (value, rest string, ok bool) {
	text = strings.TrimLeft(text, " \t")
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ";")
		return strings.TrimRight(value, " \t"), rest, !strings.Contains(value, `"`)
	}
	end := 1
	for ; end < len(text) && text[end] != '"'; end++ {
		if text[end] == '\\' {
			end++
		}
	}
	if end >= len(text) {
		return "", "", false
	}
	value = unescape(text[1:end])
	rest = strings.TrimLeft(text[end+1:], " \t")
	if rest == "" {
		return value, "", true
	}
	rest, ok = strings.CutPrefix(rest, ";")
	return value, rest, ok
}

// unescape decodes the quoted pairs of a quoted string (RFC 9110 §5.6.4).
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}
