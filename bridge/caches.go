package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cacheControl is the part of a Cache-Control value that says who may store the response (RFC 9111
// §5.2.2).
type cacheControl struct {
	set       bool // there is a directive at all
	noStore   bool
	private   bool // without field names: then the whole response is for one client
	shared    bool // public, s-maxage or immutable
	freshness bool // max-age of more than 0
	maxAge    bool // any max-age: Expires is then ignored
}

func parseCacheControl(lines []string) (c cacheControl) {
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, qualified := strings.Cut(strings.TrimSpace(directive), "=")
			if name == "" {
				continue
			}
			c.set = true
			switch strings.ToLower(name) {
			case "no-store":
				c.noStore = true
			case "private":
				c.private = c.private || !qualified
			case "public", "s-maxage", "immutable":
				c.shared = true
			case "max-age":
				seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
				c.maxAge, c.freshness = true, c.freshness || err != nil || seconds > 0
			}
		}
	}
	return c
}

// forCaches reports whether the handler wants the response stored by caches, which may give it to
// other clients. It counts as a wish when the handler says "public", "s-maxage" or "immutable",
// gives the response a time to live without "private" or "no-store", or addresses a cache in a
// header of its own (RFC 9213). Vary: Cookie doesn't make such a response safe: many caches ignore
// it.
func forCaches(h http.Header) bool {
	if len(h) == 0 {
		return false
	}
	c := parseCacheControl(h["Cache-Control"])
	if c.shared {
		return true
	}
	if !c.private && !c.noStore && (c.freshness || !c.maxAge && expiresLater(h)) {
		return true
	}
	for name, lines := range h {
		if forOneCache(name) && targetsCaches(name, lines) {
			return true
		}
	}
	return false
}

func expiresLater(h http.Header) bool {
	text := h.Get("Expires")
	if text == "" {
		return false
	}
	at, err := http.ParseTime(text)
	return err == nil && at.After(time.Now())
}

// forOneCache reports whether the header tells one kind of cache what to do, whatever Cache-Control
// says: CDN-Cache-Control and those named like it (RFC 9213 §2), Surrogate-Control, and headers of
// Akamai and nginx.
func forOneCache(name string) bool {
	const suffix = "-cache-control"
	if at := len(name) - len(suffix); at > 0 && strings.EqualFold(name[at:], suffix) {
		return true
	}
	return strings.EqualFold(name, "Surrogate-Control") || strings.EqualFold(name, "Edge-Control") || strings.EqualFold(name, "X-Accel-Expires")
}

// targetsCaches reports whether the value of such a header lets the cache store the response.
func targetsCaches(name string, lines []string) bool {
	if strings.EqualFold(name, "X-Accel-Expires") {
		value := strings.TrimSpace(strings.Join(lines, ""))
		return value != "" && value != "0" && !strings.EqualFold(value, "off")
	}
	c := parseCacheControl(lines)
	return c.set && !c.noStore && !c.private
}

// keepFromCaches makes sure that no cache gives the response to another client: it holds a
// credential. Cache-Control is no-store if the handler has set none, the handler's if that says
// private or no-store, and otherwise "private, no-store". It reports whether that overrules a
// handler that wanted the response stored.
func keepFromCaches(h http.Header) (overruled bool) {
	overruled = forCaches(h)
	switch c := parseCacheControl(h["Cache-Control"]); {
	case !c.set:
		h.Set("Cache-Control", "no-store")
	case c.shared || !c.private && !c.noStore:
		h.Set("Cache-Control", "private, no-store")
	}
	if overruled {
		h.Del("Expires")
		removeTargeted(h)
	}
	return overruled
}

// forbidCaches is keepFromCaches for an answer of the Bridge's own, which nobody may store.
func forbidCaches(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Del("Expires")
	removeTargeted(h)
}

// removeTargeted removes the headers for one kind of cache, which would come before Cache-Control.
func removeTargeted(h http.Header) {
	for name := range h {
		if forOneCache(name) {
			delete(h, name)
		}
	}
}

// tellOverruled logs, once in the Bridge's life, that a handler's Cache-Control had to give way to
// a cookie.
func (b *Bridge) tellOverruled(ctx context.Context) {
	if !b.overrule.Swap(true) {
		b.opts.Logger.LogAttrs(ctx, slog.LevelWarn,
			"a response that its handler lets caches store had to set the session cookie or another credential: it is sent with Cache-Control: private, no-store; "+
				"don't change the session in such a handler (logged once)")
	}
}

func varyCookie(h http.Header) { varyOn(h, "Cookie") }

// varyOn says that the response depends on headers of the request.
func varyOn(h http.Header, headers ...string) {
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
