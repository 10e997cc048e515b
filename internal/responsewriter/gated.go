package responsewriter

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// gated writes to w what the gate lets through. Only what w has may be called.
type gated struct {
	w    http.ResponseWriter
	gate Gate
}

func (g *gated) writeHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		if g.gate.Err() == nil {
			g.w.WriteHeader(status)
		}
		return
	}
	g.gate.Answering(status)
	if g.gate.Begin() != nil {
		return
	}
	g.w.WriteHeader(status)
	if status == http.StatusSwitchingProtocols {
		SendHeader(g.w)
	}
}

func (g *gated) write(p []byte) (int, error) {
	if err := g.gate.Begin(); err != nil {
		return 0, err
	}
	return g.w.Write(p)
}

func (g *gated) writeString(s string) (int, error) {
	if err := g.gate.Begin(); err != nil {
		return 0, err
	}
	return g.w.(io.StringWriter).WriteString(s)
}

func (g *gated) readFrom(src io.Reader) (int64, error) {
	if err := g.gate.Begin(); err != nil {
		return 0, err
	}
	return g.w.(io.ReaderFrom).ReadFrom(src)
}

func (g *gated) flush() {
	_ = g.gate.Begin() // the next Write returns the error; what is flushed is its answer
	g.w.(http.Flusher).Flush()
}

func (g *gated) flushError() error {
	w := g.w.(errorFlusher)
	if err := g.gate.Begin(); err != nil {
		_ = w.FlushError() // sends the answer of the error
		return err
	}
	return w.FlushError()
}

func (g *gated) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := g.gate.Begin(); err != nil {
		return nil, nil, err
	}
	conn, buf, err := g.w.(http.Hijacker).Hijack()
	g.gate.Hijacked(conn)
	return conn, buf, err
}
