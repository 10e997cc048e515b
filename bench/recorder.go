package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// recorder is a ResponseWriter in memory that is used again and again. It has the optional
// interfaces that net/http's has for HTTP/1, which is what middleware has to keep.
type recorder struct {
	header http.Header
	status int
	bytes  int
}

var _ interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
	EnableFullDuplex() error
	SetReadDeadline(deadline time.Time) error
	SetWriteDeadline(deadline time.Time) error
} = (*recorder)(nil)

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

// WriteString implements io.StringWriter.
func (w *recorder) WriteString(s string) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.bytes += len(s)
	return len(s), nil
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

// FlushError is Flush.
func (w *recorder) FlushError() error { return nil }

// CloseNotify implements http.CloseNotifier: its client never leaves.
func (w *recorder) CloseNotify() <-chan bool { return nil }

// EnableFullDuplex does nothing.
func (w *recorder) EnableFullDuplex() error { return nil }

// SetReadDeadline does nothing.
func (w *recorder) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *recorder) SetWriteDeadline(time.Time) error { return nil }

// Hijack implements http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("bench: there is no connection below a recorder")
}
