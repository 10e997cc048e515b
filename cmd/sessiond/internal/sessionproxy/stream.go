package sessionproxy

import (
	"io"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// stream is the body of an event stream, which is cut when the session ends. The browser then
// connects again, as one without the session.
type stream struct {
	io.ReadCloser
	x    *exchange
	link *bridge.Link
}

// Read attaches the stream first: the headers have been sent, and the session is stored.
func (s *stream) Read(p []byte) (int, error) {
	if s.link == nil {
		link, err := s.x.p.b.Attach(s.x.r, func(int, string) { s.x.cancel(bridge.ErrSessionGone) })
		if err != nil {
			return 0, err
		}
		s.link = link
	}
	n, err := s.ReadCloser.Read(p)
	if n > 0 {
		s.link.Sent(n)
	}
	return n, err
}

// Close ends the link. ReverseProxy calls it when it has stopped reading.
func (s *stream) Close() error {
	if s.link != nil {
		s.link.Detach()
	}
	return s.ReadCloser.Close()
}

// checked is a body whose trailers have nothing about the session either.
type checked struct {
	io.ReadCloser
	p   *Proxy
	res *http.Response
}

func (b checked) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil { // the trailers have arrived
		b.p.toClient(b.res.Trailer)
	}
	return n, err
}
