package credentials

import (
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
	// TokenPrefix precedes a token that is offered as a subprotocol, by default.
	TokenPrefix = Subprotocol + ".token."

	ProtocolHeader = "Sec-Websocket-Protocol"
)

// OfferedProtocols returns the subprotocols that the client offers, in the order of the header.
func OfferedProtocols(h http.Header) (names []string) {
	for _, line := range h[ProtocolHeader] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// Offered returns the rest of the first offer that has the prefix.
func Offered(r *http.Request, prefix string) (rest string, ok bool) {
	for _, name := range OfferedProtocols(r.Header) {
		if rest, ok = strings.CutPrefix(name, prefix); ok {
			return rest, true
		}
	}
	return "", false
}
