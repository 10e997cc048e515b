package linearizability_test

import (
	"fmt"
	"math"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// linCall is an operation as its client sees it.
type linCall struct {
	what, name string
	from, to   int64 // between these moments
	cookie     linCookie
}

// retire records that the token was presented, which invalidates the one before it, if that was
// replaced by Rotate.
func (a *linActor) retire(session int, call linCall, maybe bool) {
	if call.cookie.rotated {
		a.record(session, a.number, call.from, call.to, linEvent{kind: linRetire, label: call.cookie.label, maybe: maybe || a.troubled})
	}
}

// judgeHTTP records the events that the answer to a request implies: that its token opened the
// session at one moment, and the effect at another.
func (a *linActor) judgeHTTP(session int, call linCall, v linView, effect linEvent) {
	tell := func(from, to int64, e linEvent) {
		e.label = call.cookie.label
		a.record(session, a.number, from, to, e)
	}
	opened, there := a.openedAt(call.name)
	entered := call
	entered.to = opened
	if there {
		// A token is checked as of the beginning of its request, so this event and the request's read may
		// take effect at different moments.
		tell(call.from, opened, linEvent{kind: linOpened})
		a.retire(session, entered, false)
	} else {
		opened = call.from
		a.retire(session, call, true)
	}
	replaces := effect.next != 0
	commits := effect.kind != ""
	if effect.kind == linIncrement { // its session may have been loaded anew since it was opened
		opened = call.from
	}
	switch {
	case v.Word == "ok" && v.ID != a.sessions[session].id:
		a.unexpected(call.what, "another session: "+v.ID)
	case v.Word == "ok" && (call.what == "read" || call.what == "look"):
		tell(call.from, entered.to, linEvent{kind: linRead, values: v.linValues})
	case v.Word == "ok" && effect.kind == linIncrement:
		effect.values.N = v.N
		tell(opened, call.to, effect)
	case v.Word == "ok":
		tell(opened, call.to, effect)
	case v.Word == "missing" && !there:
		tell(call.from, call.to, linEvent{kind: linRefused})
	case v.Word == "rotated" && there && replaces:
		tell(call.from, call.to, linEvent{kind: linRaced}) // it can have been clear when the session was loaded
	case v.Word == "rotated":
		tell(opened, call.to, linEvent{kind: linLate})
	case v.Word == "gone":
		tell(opened, call.to, linEvent{kind: linGone})
	case v.Word == "conflict":
	case v.Word == "unavailable" && a.troubled:
		if there && commits {
			tell(opened, call.to, linUnknown(effect))
		}
	default:
		a.unexpected(call.what, v.Word)
	}
}

// openedAt returns when the operation had its session; false if it had none.
func (a *linActor) openedAt(name string) (int64, bool) {
	at, ok := a.opened.Load(name)
	if !ok {
		return 0, false
	}
	return at.(int64), true
}

// judgeSocket records the events that an answer, or the socket's end instead of one, implies.
func (a *linActor) judgeSocket(session int, call linCall, v linView, code int) {
	tell := func(from, to int64, e linEvent) {
		e.label = call.cookie.label
		a.record(session, a.number, from, to, e)
	}
	effect := linEvent{}
	switch call.what {
	case "increment":
		effect = linEvent{kind: linIncrement, values: linValues{N: v.N}}
	case "destroy":
		effect.kind = linDestroy
	}
	entered, there := a.openedAt(call.name)
	if there {
		tell(call.from, entered, linEvent{kind: linMayWork})
	}
	unknown := func(until int64) {
		if effect.kind != "" {
			tell(call.from, until, linUnknown(effect))
		}
	}
	switch {
	case v.Word == "ok" && v.ID != a.sessions[session].id:
		a.unexpected(call.what, "another session: "+v.ID)
	case v.Word == "ok" && call.what == "look":
		tell(call.from, entered, linEvent{kind: linRead, values: v.linValues})
	case v.Word == "ok" && call.what == "destroy":
		tell(entered, call.to, effect)
	case v.Word == "ok":
		tell(call.from, call.to, effect)
	case v.Word == "no session":
		tell(call.from, call.to, linEvent{kind: linNoWork})
	case v.Word == "rotated":
		tell(call.from, call.to, linEvent{kind: linCut})
	case v.Word == "gone":
		tell(call.from, call.to, linEvent{kind: linGone})
	case v.Word == "conflict":
	case v.Word == "unavailable" && a.troubled:
		unknown(call.to)
	case v.Word == "closed" && code == bridge.CodeReconnect:
		unknown(math.MaxInt64) // the server may still be working on it, or may not have begun
		tell(call.from, call.to, linEvent{kind: linCut})
	case v.Word == "closed" && code == bridge.CodeDestroyed:
		unknown(math.MaxInt64)
		tell(call.from, call.to, linEvent{kind: linGone})
	case v.Word == "closed" && code == cutOff:
		unknown(math.MaxInt64)
	case v.Word == "closed":
		a.unexpected(call.what, fmt.Sprint("closed with ", code))
	default:
		a.unexpected(call.what, strings.TrimSpace(v.Word))
	}
}
