package jsclient

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed npm/bridge.js
var module []byte

// version names the content of the module.
var version = sync.OnceValue(func() string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:8])
})

// compressed is the module for clients that accept gzip.
var compressed = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a valid level
	_, _ = w.Write(module)                                  // a buffer fails never
	_ = w.Close()
	return out.Bytes()
})

// Version returns a short text that changes with the content of the module, for the query of its
// URL: see [Handler].
func Version() string { return version() }

// Handler serves the client's module, at whatever path it is mounted, to GET and HEAD requests.
// Others get 405.
//
// The answer has an ETag, and browsers ask at each use whether it is still valid (no-cache), which
// costs a request without a body. With the query "v=" and [Version], as in
// "/bridge.js?v=1f2e3d4c5b6a7988", browsers keep it for a year without asking. It is compressed with
// gzip if the client accepts that. A page with a Content-Security-Policy needs script-src 'self' and
// connect-src 'self' for it; the module contains no eval and no inline styles.
//
// The handler needs no session, so it may be inside or outside of Bridge.Handler. It is safe for
// concurrent use.
func Handler() http.Handler { return http.HandlerFunc(serveModule) }

func serveModule(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "public, no-cache")
	if r.URL.RawQuery == "v="+version() {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content, etag := module, version()
	if acceptsGzip(r.Header["Accept-Encoding"]) {
		content, etag = compressed(), etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content)) // without a time only the ETag counts
}

// acceptsGzip reports whether an Accept-Encoding header (RFC 9110 §12.5.3) names gzip with a weight
// that isn't zero.
func acceptsGzip(header []string) bool {
	for _, line := range header {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			weight, has := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return !has || err == nil && q > 0
		}
	}
	return false
}
