package credentials

import (
	"iter"
	"net/http"
	"strings"
)

const (
	// Subprotocol is the WebSocket subprotocol that a client offers together with a token or a
	// ticket. The server answers with it if it speaks no other, because browsers fail a handshake
	// if none of their offers is accepted.
	Subprotocol = "sessionbridge"
	// TicketPrefix precedes a ticket that is offered as a subprotocol.
	TicketPrefix = Subprotocol + ".ticket."
	// KeptProtocol is the subprotocol of clients that keep their place among kept messages. After a dot
	// it has the position.
	KeptProtocol = Subprotocol + ".kept"
	// TokenPrefix precedes a token that is offered as a subprotocol, by default.
	TokenPrefix = Subprotocol + ".token."

	protocolHeader = "Sec-Websocket-Protocol"
)

// offeredProtocols yields the subprotocols that the client offers, in the order of the header. It
// allocates nothing: any request can offer hundreds of thousands.
func offeredProtocols(h http.Header) iter.Seq[string] {
	return func(yield func(name string) bool) {
		for _, line := range h[protocolHeader] {
			for name := range strings.SplitSeq(line, ",") {
				if name = strings.TrimSpace(name); name != "" && !yield(name) {
					return
				}
			}
		}
	}
}

// offered returns the rest of the first offer that has the prefix.
func offered(r *http.Request, prefix string) (rest string, ok bool) {
	for name := range offeredProtocols(r.Header) {
		if rest, ok = strings.CutPrefix(name, prefix); ok {
			return rest, true
		}
	}
	return "", false
}

// KeptOffer returns the position that a client presents with KeptProtocol, "" if it has none. ok is
// false if it doesn't offer that.
func KeptOffer(r *http.Request) (position string, ok bool) {
	for name := range offeredProtocols(r.Header) {
		rest, is := strings.CutPrefix(name, KeptProtocol)
		if is && (rest == "" || rest[0] == '.') {
			return strings.TrimPrefix(rest, "."), true
		}
	}
	return "", false
}
