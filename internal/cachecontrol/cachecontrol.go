package cachecontrol

import (
	"net/http"
	"strings"
)

// Shared reports whether the handler that has set the headers wants the response stored by caches,
// which may give it to other clients: it says "public", "s-maxage" or "immutable", gives the
// response a time to live without "private" or "no-store", or lets one kind of cache store it.
func Shared(h http.Header) bool {
	if len(h) == 0 {
		return false
	}
	d := parse(h["Cache-Control"])
	if d.shared {
		return true
	}
	if !d.private && !d.noStore && (d.fresh || !d.maxAge && expiresLater(h)) {
		return true
	}
	for name, lines := range h {
		if isTargeted(name) && letsStore(name, lines) {
			return true
		}
	}
	return false
}

// Restrict makes sure that no cache gives the response to another client: it holds a credential.
// Cache-Control becomes no-store if the handler has set none, stays if it says private or no-store,
// and otherwise becomes "private, no-store". Restrict reports whether it has overruled a handler
// that wanted the response stored.
func Restrict(h http.Header) (overruled bool) {
	overruled = Shared(h)
	switch d := parse(h["Cache-Control"]); {
	case !d.any:
		h.Set("Cache-Control", "no-store")
	case d.shared || !d.private && !d.noStore:
		h.Set("Cache-Control", "private, no-store")
	}
	if overruled {
		h.Del("Expires")
		removeTargeted(h)
	}
	return overruled
}

// Forbid forbids every cache to store the response, whatever the headers said.
func Forbid(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Del("Expires")
	removeTargeted(h)
}

// VaryOn adds the request headers to Vary that are not in it yet: the response depends on them.
func VaryOn(h http.Header, headers ...string) {
	for _, header := range headers {
		if !varies(h, header) {
			h.Add("Vary", header)
		}
	}
}

func varies(h http.Header, header string) bool {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, header) {
				return true
			}
		}
	}
	return false
}
