package registry

import (
	"net/netip"
	"time"
)

// Entry is a connection's place in a Registry. The exported fields are set before Add and don't
// change afterwards.
type Entry struct {
	ID       string
	ClientID string
	Addr     string
	OpenedAt time.Duration // of any one clock: the smallest is the oldest

	// Guarded by the registry's lock once the connection is added.
	sessionID string // "" while there is none
	proved    uint64 // the token generation that opened it; 0: it follows any
	lastID    string // the session that it had last
	userID    string // the user of that session, as last known
	inClient  int32  // index in the client's list
	inSession int32  // index in the session's list
	parted    *Close // how it is to be closed since it lost its session
}

// Attach gives the connection its session, before it is added. proved is the generation of the
// session's token that it has proved; a connection with 0 is cut by no login.
func (e *Entry) Attach(sessionID, userID string, proved uint64) {
	e.sessionID, e.userID, e.proved = sessionID, userID, proved
}

// ShutOut reports whether a login with this generation shuts out a connection that has proved a
// token of the generation proved.
func ShutOut(proved, login uint64) bool { return proved != 0 && proved < login }

// Close is a close code and its reason. The zero value is none.
type Close struct {
	Code   int
	Reason string
}

// network returns what counts as one address: an IPv4 address, and of IPv6 the /64 that a single
// subscriber has.
func network(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Unmap().Is4() {
		return addr
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.String()
}
