package eventjson

import (
	"slices"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Filter selects events that match all its fields; the zero Filter matches every one. An event that
// says that others are missing matches every Filter.
type Filter struct {
	Types                       []string // any of them; none: all
	SessionID, ClientID, UserID string
}

// Match reports whether the Filter selects the event.
func (f *Filter) Match(ev bridge.Event) bool {
	if _, ok := ev.(bridge.Missed); ok {
		return true
	}
	if len(f.Types) > 0 && !slices.Contains(f.Types, Type(ev)) {
		return false
	}
	session, client, users := about(ev)
	return (f.SessionID == "" || f.SessionID == session) &&
		(f.ClientID == "" || f.ClientID == client) &&
		(f.UserID == "" || slices.Contains(users[:], f.UserID))
}

// about returns whom the event concerns. A login concerns the user before it, too.
func about(ev bridge.Event) (session, client string, users [2]string) {
	switch ev := ev.(type) {
	case bridge.SessionSet:
		return ev.SessionID, ev.ClientID, [2]string{ev.UserID, ev.PrevUserID}
	case bridge.SessionDestroy:
		return ev.SessionID, ev.ClientID, [2]string{ev.UserID}
	case bridge.ConnOpen:
		return ev.SessionID, ev.ClientID, [2]string{ev.UserID}
	case bridge.ConnClose:
		return ev.SessionID, ev.ClientID, [2]string{ev.UserID}
	case bridge.Failure:
		return ev.SessionID, "", users
	case bridge.CredentialRejected:
		return ev.SessionID, ev.ClientID, [2]string{ev.UserID}
	}
	return "", "", users
}
