package bridge

import "net/http"

// HandshakeHeader returns the cookies of the response to an upgrade request, for upgraders that
// write the response themselves (gorilla/websocket, gobwas/ws, lxzan/gws): pass it to them as the
// response's header. It stores the session's changes first. If that fails the client gets the
// error, and the upgrader's Hijack fails with it. A ticket that opens nothing is answered with 401
// in the same way. Browsers may ignore cookies on a 101.
//
// HandshakeHeader removes a token or a ticket among the offered subprotocols from r's header, so
// that the upgrader can't answer with it. If only Subprotocol is left, the returned header accepts
// it.
func (b *Bridge) HandshakeHeader(r *http.Request) http.Header {
	h := make(http.Header)
	rq, err := b.requestFor(r)
	if err != nil {
		return h
	}
	rq.mu.Lock()
	rq.answer.AskClient()
	over, w := rq.w == nil, rq.w
	rq.mu.Unlock()
	if over || rq.openOffered(w, r) != nil || rq.prepare() != nil {
		return h
	}
	rq.presented.HideOffers(r, h)
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.cookiesTaken = true
	rq.answer.CopyTo(h)
	return h
}
