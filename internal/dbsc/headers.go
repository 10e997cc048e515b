package dbsc

import (
	"net/http"
	"strings"
)

// Names of headers, in the canonical form.
const (
	registrationHeader = "Secure-Session-Registration"
	challengeHeader    = "Secure-Session-Challenge"
	responseHeader     = "Secure-Session-Response"
	idHeader           = "Sec-Secure-Session-Id"
	skippedHeader      = "Secure-Session-Skipped"
)

// maxIDBytes is more than the identifier of any session has.
const maxIDBytes = 128

// Offer has a response offer the browser a registration at the path, with one of the algorithms.
func Offer(h http.Header, algorithms []Algorithm, path, challenge string) {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	h.Set(registrationHeader,
		"("+strings.Join(names, " ")+");path="+quote(path)+";challenge="+quote(challenge))
}

// ChallengeHeader gives the browser the challenge that it is to sign next for the session.
func ChallengeHeader(h http.Header, challenge, sessionID string) {
	h.Set(challengeHeader, quote(challenge)+";id="+quote(sessionID))
}

// ReadProof returns the JWT that the request presents, "" for none. A JWT that is too long, and one
// of several, is returned as it is and fails the verification.
func ReadProof(h http.Header) string { return text(h, responseHeader) }

// ReadID returns the identifier of the session that the request refreshes, "" for none and for one
// that is too long.
func ReadID(h http.Header) string {
	id := text(h, idHeader)
	if len(id) > maxIDBytes {
		return ""
	}
	return id
}

// Skipped reports whether the browser says that it could not refresh a session before the request:
// the server was not reachable or has failed, or the browser has signed too often.
func Skipped(h http.Header) bool { return len(h[skippedHeader]) > 0 }

// text returns the value of a header that the draft defines as a quoted string and that browsers
// send without quotes. Several lines count as one value.
func text(h http.Header, name string) string {
	value := strings.TrimSpace(strings.Join(h[name], ","))
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return value
}

// quote returns a string of a structured field (RFC 9651 §3.3.3). The text is printable ASCII.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
