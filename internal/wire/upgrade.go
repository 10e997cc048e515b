package wire

import (
	"bufio"
	"net"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// Wrap returns rw with c above the connection that its Hijack returns. A writer that can't be
// hijacked is returned as it is, for the upgrade to refuse the handshake.
func (c *Conn) Wrap(rw http.ResponseWriter) http.ResponseWriter {
	return responsewriter.OnHijack(rw, func(conn net.Conn, buf *bufio.ReadWriter) net.Conn {
		c.Conn = conn
		if n := buf.Reader.Buffered(); n > 0 { // frames that came together with the handshake
			ahead, _ := buf.Peek(n)
			c.ahead = append(c.ahead, ahead...)
		}
		buf.Reader.Reset(c)
		return c
	})
}
