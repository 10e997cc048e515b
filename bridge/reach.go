package bridge

import (
	"bufio"
	"net"
	"net/http"
)

// reach returns w with the Flush and Hijack that a ResponseController would reach through w's Unwrap. A middleware that offers only
// Unwrap would otherwise let them go past ours, and a byte leave before the session is stored.
func reach(w http.ResponseWriter) http.ResponseWriter {
	flushes, hijacks := offers(w)
	below, ok := w.(interface{ Unwrap() http.ResponseWriter })
	if !ok || flushes && hijacks {
		return w
	}
	deepFlush, deepHijack := flushes, hijacks
	for ok {
		next := below.Unwrap()
		f, h := offers(next)
		deepFlush, deepHijack = deepFlush || f, deepHijack || h
		below, ok = next.(interface{ Unwrap() http.ResponseWriter })
	}
	r := reaching{w}
	switch {
	case deepFlush == flushes && deepHijack == hijacks:
		return w
	case !deepHijack:
		return flushing{r}
	case !deepFlush:
		return hijacking{r}
	}
	return flushingHijacking{flushing{r}}
}

// flushError sends an error answer at once. It asks only a writer that can flush by itself: one that can't may hold back the answer, and what is below it would send
// an empty one.
func flushError(w http.ResponseWriter) {
	switch t := w.(type) {
	case flushing:
		flushError(t.ResponseWriter)
	case flushingHijacking:
		flushError(t.ResponseWriter)
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

// reaching is the ResponseWriter that is reached through.
type reaching struct{ http.ResponseWriter }

// Unwrap serves http.ResponseController.
func (r reaching) Unwrap() http.ResponseWriter { return r.ResponseWriter }

type flushing struct{ reaching }

// Flush implements http.Flusher.
func (f flushing) Flush() { _ = f.FlushError() }

// FlushError serves http.ResponseController.
func (f flushing) FlushError() error { return http.NewResponseController(f.ResponseWriter).Flush() }

type hijacking struct{ reaching }

// Hijack implements http.Hijacker.
func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

type flushingHijacking struct{ flushing }

// Hijack implements http.Hijacker.
func (f flushingHijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return hijacking{f.reaching}.Hijack()
}
