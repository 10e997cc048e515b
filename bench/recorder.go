package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// recorder is a ResponseWriter in memory that is used again and again. It has the optional
// interfaces of net/http's, which is what middleware has to keep.
type recorder struct {
	header http.Header
	status int
	bytes  int
}

var (
	_ http.Flusher  = (*recorder)(nil)
	_ http.Hijacker = (*recorder)(nil)
	_ io.ReaderFrom = (*recorder)(nil)
)

func newRecorder() *recorder { return &recorder{header: make(http.Header)} }

func (w *recorder) reset() {
	clear(w.header)
	w.status, w.bytes = 0, 0
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.bytes += len(p)
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (w *recorder) ReadFrom(src io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	n, err := io.Copy(io.Discard, src)
	w.bytes += int(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *recorder) Flush() {}

// Hijack implements http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("bench: there is no connection below a recorder")
}
