package cachecontrol

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// directives is what the lines of a Cache-Control header say about who may store the response.
type directives struct {
	any     bool // there is a directive at all
	noStore bool
	private bool // without field names: then the whole response is for one client
	shared  bool // public, s-maxage or immutable
	fresh   bool // max-age of more than 0
	maxAge  bool // any max-age: Expires is then ignored
}

func parse(lines []string) (d directives) {
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, qualified := strings.Cut(strings.TrimSpace(directive), "=")
			if name == "" {
				continue
			}
			d.any = true
			switch strings.ToLower(name) {
			case "no-store":
				d.noStore = true
			case "private":
				d.private = d.private || !qualified
			case "public", "s-maxage", "immutable":
				d.shared = true
			case "max-age":
				seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
				d.maxAge, d.fresh = true, d.fresh || err != nil || seconds > 0
			}
		}
	}
	return d
}

// expiresLater reports whether the Expires header gives the response a time to live.
func expiresLater(h http.Header) bool {
	text := h.Get("Expires")
	if text == "" {
		return false
	}
	at, err := http.ParseTime(text)
	return err == nil && at.After(time.Now())
}
