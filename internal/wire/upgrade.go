package wire

import (
	"bufio"
	"net"
	"net/http"
)

// upgrade is the ResponseWriter of a handshake. It puts a Conn below the connection.
type upgrade struct {
	http.ResponseWriter
	conn *Conn
}

// Wrap returns rw with c below the connection that its Hijack returns. A writer that can't be hijacked
// is returned as it is, for the upgrade to refuse the handshake.
func (c *Conn) Wrap(rw http.ResponseWriter) http.ResponseWriter {
	for above := rw; above != nil; {
		if _, hijacks := above.(http.Hijacker); hijacks {
			return &upgrade{rw, c}
		}
		next, ok := above.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		above = next.Unwrap()
	}
	return rw
}

// Unwrap serves http.ResponseController.
func (u *upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// WriteHeaderNow is a method of gin's writer, which keeps the status back until it is called. The
// upgrade calls it.
func (u *upgrade) WriteHeaderNow() {
	for w := u.ResponseWriter; w != nil; {
		if gin, ok := w.(interface{ WriteHeaderNow() }); ok {
			gin.WriteHeaderNow()
			return
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = below.Unwrap()
	}
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return conn, buf, err
	}
	u.conn.Conn = conn
	if n := buf.Reader.Buffered(); n > 0 { // frames that came together with the handshake
		ahead, _ := buf.Peek(n)
		u.conn.ahead = append(u.conn.ahead, ahead...)
	}
	buf.Reader.Reset(u.conn)
	return u.conn, buf, nil
}
