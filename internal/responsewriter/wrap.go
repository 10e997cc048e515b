package responsewriter

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/felixge/httpsnoop"
)

// Gate decides whether a response may leave. Its methods may be called concurrently, as often as
// the handler writes.
type Gate interface {
	// Answering is called with the status of each WriteHeader that is not informational.
	Answering(status int)

	// Begin is called before anything leaves. An error means that the client has been answered in
	// place of the handler: what the handler writes is discarded, and it gets the error.
	Begin() error

	// Err returns the error of a Begin that has failed, nil otherwise.
	Err() error

	// Hijacked is called with the connection that the handler has taken over; nil if that failed.
	Hijacked(conn net.Conn)
}

// Wrap returns w behind the gate, with the optional interfaces of w. Informational responses (1xx,
// but for 101) pass without Begin.
func Wrap(w http.ResponseWriter, gate Gate) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(status int) {
				if status < 200 && status != http.StatusSwitchingProtocols {
					if gate.Err() == nil {
						next(status)
					}
					return
				}
				gate.Answering(status)
				if gate.Begin() != nil {
					return
				}
				next(status)
				if status == http.StatusSwitchingProtocols {
					SendHeader(w)
				}
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) {
				if err := gate.Begin(); err != nil {
					return 0, err
				}
				return next(p)
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) {
				if err := gate.Begin(); err != nil {
					return 0, err
				}
				return next(src)
			}
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() {
				_ = gate.Begin() // the next Write returns the error; what is flushed is its answer
				next()
			}
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error {
				if err := gate.Begin(); err != nil {
					_ = next() // sends the answer of the error
					return err
				}
				return next()
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				if err := gate.Begin(); err != nil {
					return nil, nil, err
				}
				conn, buf, err := next()
				gate.Hijacked(conn)
				return conn, buf, err
			}
		},
	})
}
