package responsewriter

import (
	"bufio"
	"net"
	"net/http"
)

// Expose returns w with the Flush and Hijack that an http.ResponseController reaches through w's
// Unwrap. If w offers only Unwrap they would bypass a writer that wraps w.
func Expose(w http.ResponseWriter) http.ResponseWriter {
	flushes, hijacks := offers(w)
	if flushes && hijacks {
		return w
	}
	deepFlush, deepHijack := flushes, hijacks
	for below := unwrap(w); below != nil; below = unwrap(below) {
		f, h := offers(below)
		deepFlush, deepHijack = deepFlush || f, deepHijack || h
	}
	e := exposed{w}
	switch {
	case deepFlush == flushes && deepHijack == hijacks:
		return w
	case !deepHijack:
		return flushing{e}
	case !deepFlush:
		return hijacking{e}
	}
	return flushingHijacking{flushing{e}}
}

// Flush sends what has been written, if w can flush by itself. A writer that can only be unwrapped
// may hold back what was written: flushing the one below it would send an empty response.
func Flush(w http.ResponseWriter) {
	switch t := w.(type) {
	case flushing:
		Flush(t.ResponseWriter)
	case flushingHijacking:
		Flush(t.ResponseWriter)
	case interface{ FlushError() error }:
		_ = t.FlushError() // a client that has gone away needs no answer
	case http.Flusher:
		t.Flush()
	}
}

func offers(w http.ResponseWriter) (flushes, hijacks bool) {
	switch w.(type) {
	case http.Flusher, interface{ FlushError() error }:
		flushes = true
	}
	_, hijacks = w.(http.Hijacker)
	return flushes, hijacks
}

// exposed is the writer whose methods are exposed.
type exposed struct{ http.ResponseWriter }

// Unwrap serves http.ResponseController.
func (e exposed) Unwrap() http.ResponseWriter { return e.ResponseWriter }

type flushing struct{ exposed }

// Flush implements http.Flusher.
func (f flushing) Flush() { _ = f.FlushError() }

// FlushError serves http.ResponseController.
func (f flushing) FlushError() error { return http.NewResponseController(f.ResponseWriter).Flush() }

type hijacking struct{ exposed }

// Hijack implements http.Hijacker.
func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

type flushingHijacking struct{ flushing }

// Hijack implements http.Hijacker.
func (f flushingHijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return hijacking{f.exposed}.Hijack()
}
