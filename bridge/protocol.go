package bridge

import (
	"net/http"
	"slices"
	"strings"
)

// Subprotocol is what a client offers together with a token or a ticket: the one that the server answers with if it speaks none of the others, as browsers fail a handshake whose
// offers are all ignored.
const Subprotocol = "sessionbridge"

// ticketPrefix is what comes before a ticket that is offered as a subprotocol.
const ticketPrefix = "sessionbridge.ticket."

const protocolHeader = "Sec-Websocket-Protocol"

// offeredProtocols returns the subprotocols that the client offers, as they stand.
func offeredProtocols(h http.Header) (names []string) {
	for _, line := range h[protocolHeader] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// offered returns what comes behind the prefix in the first offer that has it.
func offered(r *http.Request, prefix string) (rest string, ok bool) {
	for _, name := range offeredProtocols(r.Header) {
		if rest, ok = strings.CutPrefix(name, prefix); ok {
			return rest, true
		}
	}
	return "", false
}

// secretOffer reports whether a subprotocol that the client offers holds what it presents.
func (rq *request) secretOffer(name string) bool {
	return strings.HasPrefix(name, ticketPrefix) || rq.carrier == byToken && rq.text != "" && strings.HasSuffix(name, rq.text)
}

// answerProtocol takes secrets out of the subprotocols that r's client offers, before an upgrader sees them, and puts Subprotocol into the answer if nothing else is left
// to choose from.
func (rq *request) answerProtocol(answer http.Header, r *http.Request) {
	names := offeredProtocols(r.Header)
	open := slices.DeleteFunc(slices.Clone(names), rq.secretOffer)
	if len(open) == len(names) {
		return
	}
	if len(open) == 0 {
		r.Header.Del(protocolHeader)
		return
	}
	r.Header[protocolHeader] = []string{strings.Join(open, ", ")}
	if len(open) == 1 && open[0] == Subprotocol {
		answer[protocolHeader] = []string{Subprotocol}
	}
}
