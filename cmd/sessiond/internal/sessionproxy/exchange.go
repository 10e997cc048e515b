package sessionproxy

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httputil"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
)

// exchange is one request to the backend and its answer.
type exchange struct {
	p       *Proxy
	w       http.ResponseWriter
	r       *http.Request // its context ends with cancel
	cancel  context.CancelCauseFunc
	session *bridge.Session // new if the request has none
	grant   string          // proves that an answer is that of the backend itself
}

func newExchange(p *Proxy, w http.ResponseWriter, r *http.Request, s *bridge.Session) *exchange {
	ctx, cancel := context.WithCancelCause(r.Context())
	return &exchange{p: p, w: w, r: r.WithContext(ctx), cancel: cancel, session: s, grant: rand.Text()}
}

// rewrite makes the request the one that the backend gets.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(x.p.opts.Backend)
	pr.Out.Host = pr.In.Host
	pr.Out.Trailer = nil // trailers would pass unchecked
	x.toBackend(pr.Out.Header)
}

// errSwitch: the backend speaks another protocol from here on, which the proxy hasn't asked for.
var errSwitch = errors.New("sessionproxy: the backend switches protocols without being asked")

// receive takes the backend's answer before the client gets it. An error is answered by fail.
func (x *exchange) receive(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return errSwitch // while ReverseProxy can still close the connection
	}
	about := x.p.toClient(res.Header)
	x.p.toClient(res.Trailer) // which are announced
	res.Body = checked{res.Body, x.p, res}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind == "text/event-stream" {
		if err := x.p.b.CheckOrigin(x.r); err != nil {
			return sessionError{err}
		}
		res.Body = &stream{ReadCloser: res.Body, x: x}
	}
	return x.apply(about) // last: the client gets the answer
}

// sessionError is an error of the Bridge, which the Bridge answers.
type sessionError struct{ error }

func (e sessionError) Unwrap() error { return e.error }

// fail answers a request that the backend can't answer, or whose answer can't be used.
func (x *exchange) fail(w http.ResponseWriter, _ *http.Request, err error) {
	var own sessionError
	if errors.As(err, &own) {
		x.p.b.WriteError(w, x.r, own.error)
		return
	}
	detail, level := "The backend doesn't answer.", slog.LevelWarn
	if errors.Is(err, errOrder) || errors.Is(err, errSwitch) {
		detail, level = "The backend's answer is invalid.", slog.LevelError
	}
	if x.r.Context().Err() == nil {
		x.p.opts.Logger.LogAttrs(x.r.Context(), level, "the backend failed", slog.Any("error", err))
	}
	erroranswer.Write(w, x.r.Header["Accept"], http.StatusBadGateway, detail)
}
