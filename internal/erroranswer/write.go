package erroranswer

import (
	"encoding/json"
	"net/http"
)

// problem is an RFC 9457 problem of the type about:blank: its title is the status' own.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Write writes the answer. Its form depends on the lines of the request's Accept header.
func Write(w http.ResponseWriter, accept []string, status int, detail string) {
	h := w.Header()
	h.Del("Content-Length") // of the answer that this one replaces
	h.Set("X-Content-Type-Options", "nosniff")
	body := []byte(detail + "\n")
	if prefersJSON(accept) {
		h.Set("Content-Type", "application/problem+json")
		body, _ = json.Marshal(problem{http.StatusText(status), status, detail}) // strings and a number always encode
	} else {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone away needs no answer
}

// RetryLater asks the client to come back in a second, if the status says that it may and the
// header doesn't say when.
func RetryLater(h http.Header, status int) {
	temporary := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	if temporary && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
}
