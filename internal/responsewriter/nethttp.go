package responsewriter

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// The optional interfaces that the writers of net/http have for both versions of HTTP.
type (
	errorFlusher interface{ FlushError() error }

	closeNotifier interface{ CloseNotify() <-chan bool } // http.CloseNotifier, which is deprecated

	deadlineSetter interface {
		SetReadDeadline(deadline time.Time) error
		SetWriteDeadline(deadline time.Time) error
	}

	fullDuplexer interface{ EnableFullDuplex() error }

	netHTTP interface {
		http.ResponseWriter
		http.Flusher
		closeNotifier
		io.StringWriter
		errorFlusher
		deadlineSetter
		fullDuplexer
	}

	netHTTP1 interface {
		netHTTP
		http.Hijacker
		io.ReaderFrom
	}

	netHTTP2 interface {
		netHTTP
		http.Pusher
	}
)

// common wraps what the writers of net/http have for both versions of HTTP.
type common struct{ gated }

// http1 wraps a netHTTP1, and http2 a netHTTP2. Any other writer is wrapped by httpsnoop, which has a
// type for each combination of interfaces, and takes an allocation for each method.
type (
	http1 struct{ common }
	http2 struct{ common }
)

var (
	_ netHTTP1 = (*http1)(nil)
	_ netHTTP2 = (*http2)(nil)
)

// ofNetHTTP wraps a writer with exactly the interfaces of one of net/http's; nil for another.
func ofNetHTTP(w http.ResponseWriter, gate Gate) http.ResponseWriter {
	switch w.(type) {
	case interface {
		netHTTP1
		http.Pusher
	}:
		return nil
	case netHTTP1:
		return &http1{common{gated{w, gate}}}
	case interface {
		netHTTP2
		http.Hijacker
	}, interface {
		netHTTP2
		io.ReaderFrom
	}:
		return nil
	case netHTTP2:
		return &http2{common{gated{w, gate}}}
	}
	return nil
}

func (c *common) Unwrap() http.ResponseWriter { return c.w }

func (c *common) Header() http.Header { return c.w.Header() }

func (c *common) WriteHeader(status int) { c.writeHeader(status) }

func (c *common) Write(p []byte) (int, error) { return c.write(p) }

func (c *common) WriteString(s string) (int, error) { return c.writeString(s) }

func (c *common) Flush() { c.flush() }

func (c *common) FlushError() error { return c.flushError() }

func (c *common) CloseNotify() <-chan bool {
	return c.w.(closeNotifier).CloseNotify()
}

func (c *common) SetReadDeadline(deadline time.Time) error {
	return c.w.(deadlineSetter).SetReadDeadline(deadline)
}

func (c *common) SetWriteDeadline(deadline time.Time) error {
	return c.w.(deadlineSetter).SetWriteDeadline(deadline)
}

func (c *common) EnableFullDuplex() error {
	return c.w.(fullDuplexer).EnableFullDuplex()
}

func (h *http1) ReadFrom(src io.Reader) (int64, error) { return h.readFrom(src) }

func (h *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.hijack() }

func (h *http2) Push(target string, opts *http.PushOptions) error {
	return h.w.(http.Pusher).Push(target, opts)
}
