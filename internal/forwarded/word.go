package forwarded

import "net/http"

// word is the information in one family of headers.
type word struct {
	client  node // the last known address
	said    bool // a header of the family is present
	certain bool // the walk ended at an untrusted address, or at an element without an address
	scheme  scheme
}

// read returns the information in both families. The peer is trusted.
func (p *Proxies) read(r *http.Request, peer node) (x, f word) {
	x, f = word{client: peer}, word{client: peer}
	if p.use != OnlyForwarded {
		x = p.readXForwarded(r.Header, peer)
	}
	if lines := r.Header["Forwarded"]; len(lines) > 0 && p.use != OnlyXForwarded {
		f = p.readForwarded(lines, peer)
	}
	return x, f
}

// follow takes the next step of a walk: text is the element by which the last address, a trusted
// one, identifies the previous one. It reports whether the walk continues.
func (p *Proxies) follow(w *word, text string) bool {
	n, ok := parseNode(text)
	if ok {
		w.client = n
	}
	w.certain = !ok || !p.trusts(n)
	return !w.certain
}

func (p *Proxies) readXForwarded(h http.Header, peer node) word {
	w := word{client: peer}
	from := list{lines: h["X-Forwarded-For"]}
	hops := 0
	for hops < maxHops {
		text, ok := from.next()
		if !ok {
			break
		}
		w.said = true
		hops++
		if !p.follow(&w, unquote(text)) {
			break
		}
	}
	w.scheme = schemeAt(h, hops)
	return w
}

// unquote removes the quotes that some proxies add to IPv6 addresses.
func unquote(text string) string {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		return text[1 : n-1]
	}
	return text
}

// schemeAt returns the scheme in X-Forwarded-Proto at the position that the client has in
// X-Forwarded-For, hop elements from the right end, if both lists have the same length. Otherwise
// it returns the last scheme, which the nearest proxy wrote.
func schemeAt(h http.Header, hop int) scheme {
	protos := list{lines: h["X-Forwarded-Proto"]}
	text, ok := protos.next()
	if !ok {
		return unsaid
	}
	if hop < 2 {
		return parseScheme(text)
	}
	at, n := text, 1
	for n <= maxHops {
		next, ok := protos.next()
		if !ok {
			break
		}
		if n++; n == hop {
			at = next
		}
	}
	from, m := list{lines: h["X-Forwarded-For"]}, 0
	for m <= maxHops {
		if _, ok := from.next(); !ok {
			break
		}
		m++
	}
	if n == m && n <= maxHops {
		text = at
	}
	return parseScheme(text)
}

func (p *Proxies) readForwarded(lines []string, peer node) word {
	w := word{client: peer}
	elements := list{lines: lines, quoted: true}
	for range maxHops {
		text, ok := elements.next()
		if !ok {
			break
		}
		e, ok := parseElement(text)
		if !ok { // the nearest proxy writes valid elements: this one is the client's
			w.certain = w.said
			break
		}
		if w.scheme = unsaid; e.hasProto {
			w.scheme = parseScheme(e.proto)
		}
		if !e.hasFrom {
			w.certain = w.said
			break
		}
		w.said = true
		if !p.follow(&w, e.from) {
			break
		}
	}
	return w
}
