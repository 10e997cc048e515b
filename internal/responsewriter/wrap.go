package responsewriter

import (
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
	if wrapped := ofNetHTTP(w, gate); wrapped != nil {
		return wrapped
	}
	g := &gated{w, gate}
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return g.writeHeader },
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return g.write },
		WriteString: func(httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc { return g.writeString },
		ReadFrom:    func(httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc { return g.readFrom },
		Flush:       func(httpsnoop.FlushFunc) httpsnoop.FlushFunc { return g.flush },
		FlushError:  func(httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc { return g.flushError },
		Hijack:      func(httpsnoop.HijackFunc) httpsnoop.HijackFunc { return g.hijack },
	})
}
