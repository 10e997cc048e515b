package sessionproxy

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	dialTimeout = 30 * time.Second // of the handshake with the backend
	maxRefusal  = 1 << 20          // bytes of the body of a refusal that the client gets
)

// socket opens a WebSocket at the backend and then to the client, and relays their messages until
// one of them ends, or the session does.
func (x *exchange) socket() {
	backend, refusal, err := x.dial()
	switch {
	case refusal != nil:
		x.refuse(refusal)
		return
	case err != nil:
		x.fail(x.w, x.r, err)
		return
	}
	defer backend.CloseNow() //nolint:errcheck // it is closed in any case
	chosen := backend.Subprotocol()
	if chosen == "" && len(offers(x.r.Header, true)) > 0 {
		chosen = bridge.Subprotocol // a browser that offers some needs one
	}
	opts := &websocket.AcceptOptions{InsecureSkipVerify: true} // the Bridge has checked the origin
	if chosen != "" {
		opts.Subprotocols = []string{chosen}
	}
	client, err := websocket.Accept(x.w, x.r, opts)
	if err != nil {
		return // the client has its answer
	}
	defer client.CloseNow() //nolint:errcheck // likewise
	(&relay{x: x, client: client, backend: backend}).run()
}

// dial opens a WebSocket at the backend. refusal is an answer of the backend that opens none.
func (x *exchange) dial() (conn *websocket.Conn, refusal *http.Response, err error) {
	out := &httputil.ProxyRequest{In: x.r, Out: x.r.Clone(x.r.Context())}
	dropHopByHop(out.Out.Header)
	x.rewrite(out)
	ctx, cancel := context.WithTimeout(x.r.Context(), dialTimeout)
	defer cancel()
	kept := &keeper{RoundTripper: x.p.transport}
	conn, res, err := websocket.Dial(ctx, out.Out.URL.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     kept,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader: out.Out.Header, Host: out.Out.Host, Subprotocols: offers(x.r.Header, false),
	})
	switch {
	case kept.refusal != nil:
		return nil, kept.refusal, nil
	case err != nil:
		return nil, nil, err
	}
	about := x.p.toClient(res.Header)
	if len(about) > 0 && x.p.opts.TrustBackend {
		_ = conn.CloseNow()
		return nil, nil, errOnSocket
	}
	dropHopByHop(res.Header)
	maps.Copy(x.w.Header(), res.Header)
	return conn, nil, nil
}

// refuse answers the client as the backend does.
func (x *exchange) refuse(res *http.Response) {
	defer func() { _ = res.Body.Close() }() // which receive may have replaced
	if err := x.receive(res); err != nil {
		x.fail(x.w, x.r, err)
		return
	}
	dropHopByHop(res.Header)
	maps.Copy(x.w.Header(), res.Header)
	x.w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(x.w, res.Body)
}

// keeper keeps the answer to a handshake that opens no WebSocket.
type keeper struct {
	http.RoundTripper
	refusal *http.Response
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := k.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
		return res, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	kept := *res
	kept.Header, kept.Body = res.Header.Clone(), io.NopCloser(bytes.NewReader(body))
	k.refusal, res.Body = &kept, http.NoBody
	return res, nil
}

// offers returns the subprotocols that a client offers: those of the Bridge, which may be
// credentials and are not for the backend, or the others.
func offers(h http.Header, own bool) (all []string) {
	for _, line := range h["Sec-Websocket-Protocol"] {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			isOwn := name == bridge.Subprotocol || strings.HasPrefix(name, bridge.Subprotocol+".")
			if name != "" && isOwn == own {
				all = append(all, name)
			}
		}
	}
	return all
}
