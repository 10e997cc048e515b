package erroranswer

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Answer is an answer before it is sent. It implements http.ResponseWriter.
type Answer struct {
	header http.Header
	status int // 0: none chosen
	body   bytes.Buffer
}

// New returns an empty Answer that has a copy of the header.
func New(header http.Header) *Answer { return &Answer{header: header.Clone()} }

// Header implements http.ResponseWriter.
func (a *Answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK { // informational ones are not the answer
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// Written reports whether a status or a body has been written.
func (a *Answer) Written() bool { return a.status != 0 || a.body.Len() > 0 }

// Restrict replaces the status unless it is that of an error or of a redirect, for example to a
// login page. It adds the Set-Cookie lines of header that the answer lacks, and takes over the
// headers that keep names, if header has them.
func (a *Answer) Restrict(status int, header http.Header, keep ...string) {
	if a.status < http.StatusMultipleChoices || a.status == http.StatusNotModified || a.status > 599 {
		a.status = status
	}
	for _, line := range header["Set-Cookie"] {
		if !slices.Contains(a.header["Set-Cookie"], line) {
			a.header.Add("Set-Cookie", line)
		}
	}
	for _, name := range keep {
		if lines := header[name]; lines != nil {
			a.header[name] = lines
		}
	}
}

// Send replaces the headers of w and writes the answer. With its Content-Length the client knows
// that it is complete, even while the handler goes on.
func (a *Answer) Send(w http.ResponseWriter) {
	h := w.Header()
	clear(h)
	maps.Copy(h, a.header)
	if h.Get("Content-Encoding") == "" { // otherwise another writer changes the body's length on its way
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that has gone away, or asked with HEAD, needs none
}

// Reset prepares the header of a response that an error replaces. It removes what the handler has
// set, but not the headers without which a script of another origin can't read the error (CORS),
// and sets outer, which handlers outside have set, such as the encoding of the body.
func Reset(h, outer http.Header) {
	for name := range h {
		switch {
		case strings.HasPrefix(name, "Access-Control-"), name == "Vary",
			name == "Timing-Allow-Origin", name == "Cross-Origin-Resource-Policy":
		default:
			delete(h, name)
		}
	}
	for name, values := range outer {
		if _, kept := h[name]; !kept {
			h[name] = values
		}
	}
}
