package bridge

import "net/http"

// HandshakeHeader returns the cookies of the response to an upgrade request, for upgraders that write the response
// themselves (gorilla/websocket, gobwas/ws, lxzan/gws): they go into its header. What has changed in the session is stored before; if that fails the
// client is answered with the error, and the upgrader's Hijack fails with it; so it is, with 401, for a ticket that opens nothing. Browsers may ignore cookies on a 101.
//
// A token or a ticket among the subprotocols that the client offers is taken out of r's header, so that the upgrader can't answer with it. If nothing but
// Subprotocol is left, that is the answer.
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
	rq.handed = true
	rq.answer.CopyTo(h)
	return h
}
