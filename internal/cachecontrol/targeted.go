package cachecontrol

import (
	"net/http"
	"strings"
)

// isTargeted reports whether the header is for one kind of cache.
func isTargeted(name string) bool {
	const suffix = "-cache-control"
	if at := len(name) - len(suffix); at > 0 && strings.EqualFold(name[at:], suffix) {
		return true
	}
	return strings.EqualFold(name, "Surrogate-Control") ||
		strings.EqualFold(name, "Edge-Control") ||
		strings.EqualFold(name, "X-Accel-Expires")
}

// letsStore reports whether a targeted header lets its kind of cache store the response.
func letsStore(name string, lines []string) bool {
	if strings.EqualFold(name, "X-Accel-Expires") {
		value := strings.TrimSpace(strings.Join(lines, ""))
		return value != "" && value != "0" && !strings.EqualFold(value, "off")
	}
	d := parse(lines)
	return d.any && !d.noStore && !d.private
}

func removeTargeted(h http.Header) {
	for name := range h {
		if isTargeted(name) {
			delete(h, name)
		}
	}
}
