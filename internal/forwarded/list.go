package forwarded

import "strings"

// maxHops limits the number of elements that are read. No request passes as many proxies, but a
// client may send a longer list.
const maxHops = 64

// list is a header that is a list, over all its lines, read from the right end. Empty elements are
// ignored (RFC 9110 §5.6.1.2).
type list struct {
	lines  []string
	rest   string // unread part of the line before lines
	quoted bool   // a comma within a quoted string is no separator
}

// next returns the element to the left of the last one, false at the end.
func (l *list) next() (element string, ok bool) {
	for {
		for l.rest == "" {
			if len(l.lines) == 0 {
				return "", false
			}
			l.rest = l.lines[len(l.lines)-1]
			l.lines = l.lines[:len(l.lines)-1]
		}
		i := strings.LastIndexByte(l.rest, ',')
		if l.quoted {
			i = lastComma(l.rest)
		}
		element, l.rest = strings.Trim(l.rest[i+1:], " \t"), l.rest[:max(i, 0)]
		if element != "" {
			return element, true
		}
	}
}

// lastComma returns the index of the last comma that is not within a quoted string, or -1. It reads
// from the right, where quotes are balanced because the nearest proxy wrote them: an unbalanced
// quote of the client can't hide what the proxy appended.
func lastComma(s string) int {
	inside := false
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '"':
			if inside && escaped(s, i) {
				continue
			}
			inside = !inside
		case ',':
			if !inside {
				return i
			}
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes precedes s[i].
func escaped(s string, i int) bool {
	n := 0
	for n < i && s[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}
