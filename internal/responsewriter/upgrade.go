package responsewriter

import (
	"bufio"
	"net"
	"net/http"
)

// Upgrade is the ResponseWriter for a library that upgrades a connection. An upgrade passes. An
// error answer is withheld, so that the caller can give another.
type Upgrade struct {
	http.ResponseWriter
	status int // of the answer that was withheld; 0: none
}

// Unwrap serves the search for an http.Hijacker.
func (u *Upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (u *Upgrade) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		u.status = status
		return
	}
	u.ResponseWriter.WriteHeader(status)
	SendHeader(u.ResponseWriter)
}

// Write implements http.ResponseWriter.
func (u *Upgrade) Write(p []byte) (int, error) {
	if u.status != 0 {
		return len(p), nil
	}
	return u.ResponseWriter.Write(p)
}

// Withheld returns the status of the answer that was withheld, 0 if there was none, and removes the
// headers of its body.
func (u *Upgrade) Withheld() (status int) {
	h := u.Header()
	h.Del("Content-Type")
	h.Del("X-Content-Type-Options")
	return u.status
}

// OnHijack returns w with replace called on a connection that is hijacked: the caller of Hijack
// gets the connection that it returns, and the same buffers. If neither w nor a writer below it can
// be hijacked, OnHijack returns w.
func OnHijack(w http.ResponseWriter, replace func(net.Conn, *bufio.ReadWriter) net.Conn) http.ResponseWriter {
	for below := w; below != nil; below = unwrap(below) {
		if _, hijacks := below.(http.Hijacker); hijacks {
			return &replacing{w, replace}
		}
	}
	return w
}

type replacing struct {
	http.ResponseWriter
	replace func(net.Conn, *bufio.ReadWriter) net.Conn
}

// Unwrap serves http.ResponseController.
func (r *replacing) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeaderNow is for gin: its writer delays the status until this is called, and the upgrade
// asks the writer that it is given for it.
func (r *replacing) WriteHeaderNow() { SendHeader(r.ResponseWriter) }

// Hijack implements http.Hijacker.
func (r *replacing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err != nil {
		return conn, buf, err
	}
	return r.replace(conn, buf), buf, nil
}
