package metrics

import (
	"slices"
	"strconv"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// bounded returns the value if it is a known one, and "other" if not: a label that anything may be
// has no bound.
func bounded[T ~string](value T, known ...T) string {
	if slices.Contains(known, value) {
		return string(value)
	}
	return "other"
}

func via(v bridge.Via) string {
	return bounded(v, bridge.ViaHTTP, bridge.ViaSocket, bridge.ViaAPI, bridge.ViaTime, bridge.ViaStore, bridge.ViaNode)
}

func reason(r bridge.Reason) string {
	return bounded(r, bridge.ReasonDestroyed, bridge.ReasonLogout, bridge.ReasonExpired, bridge.ReasonEvicted)
}

func credential(c bridge.Credential) string {
	return bounded(c, bridge.CredentialCookie, bridge.CredentialToken, bridge.CredentialTicket)
}

func rejectReason(r bridge.RejectReason) string {
	return bounded(r, bridge.RejectedSignature, bridge.RejectedSession, bridge.RejectedToken, bridge.RejectedClient,
		bridge.RejectedDevice, bridge.RejectedTicket)
}

// code returns a close code that the protocol or the Bridge defines; "none" for a connection that
// was lost without one. Peers and applications choose others.
func code(c int) string {
	switch c {
	case -1:
		return "none"
	case 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1010,
		bridge.CodePolicy, bridge.CodeFailed, bridge.CodeShutdown, bridge.CodeUnavailable, bridge.CodeReconnect,
		bridge.CodeIdle, bridge.CodeDestroyed, bridge.CodeExpired, bridge.CodeNoSession, bridge.CodeEvicted:
		return strconv.Itoa(c)
	}
	return "other"
}
