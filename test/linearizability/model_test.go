package linearizability_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// linState is one session as the model has it: a value that changes in one step at a time. Tokens
// have labels, from 1, in no particular order.
type linState struct {
	over      bool
	values    linValues
	cur, prev uint8  // the tokens; prev 0: none
	retired   bool   // prev serves no request that begins from now on
	login     bool   // cur is a login's
	proof     uint64 // a bit for each token that is no older than the last login
}

// linValues are the visible values of a session. 0 and "" are for a key that it doesn't have.
type linValues struct {
	N, A, B int
	User    string
}

func newLinState() linState { return linState{cur: 1, proof: 1 << 1} }

// linKind is the kind of an event: an operation or an observation.
type linKind string

const (
	linOpened    linKind = "opened"    // the token opened the session, at a moment after the request began
	linRefused   linKind = "refused"   // the token opened nothing
	linUnusable  linKind = "unusable"  // the token opened nothing, or a login had replaced it
	linLate      linKind = "late"      // a login, or several later tokens, had replaced it: ErrTokenRotated
	linCut       linKind = "cut"       // the same, on a socket that may have been cut off long ago
	linRaced     linKind = "raced"     // another token had replaced this one before its own replacement
	linMayWork   linKind = "may work"  // an actor that had proved the token was let in
	linNoWork    linKind = "no work"   // an actor that had proved the token was not let in
	linGone      linKind = "gone"      // the session was over
	linRead      linKind = "read"      // an actor that had proved the token read these values
	linWrite     linKind = "write"     // A and B, where they aren't 0
	linIncrement linKind = "increment" // N is the result
	linAdd       linKind = "add"       // an increment with an unknown result
	linReplace   linKind = "replace"   // all values
	linLogin     linKind = "login"     // next replaced the token
	linRotate    linKind = "rotate"    // likewise
	linRetire    linKind = "retire"    // the token was presented: the one before it is invalid from now on
	linDestroy   linKind = "destroy"   // the session is over, whatever it was before
	linEnd       linKind = "end"       // the session was there, and is over
)

// linEvent is an operation, or a part of one, that took effect at one moment.
type linEvent struct {
	kind   linKind
	label  uint8 // the actor's token; 0: it needed none
	next   uint8 // the new token
	values linValues
	maybe  bool // or it never happened: the outcome is unknown
}

func (e linEvent) String() string {
	text := fmt.Sprintf("%s token=%d next=%d %+v", e.kind, e.label, e.next, e.values)
	if e.maybe {
		return text + " (or not)"
	}
	return text
}

// opens reports whether the token opens the session. rotated: it doesn't because of a login.
func (s linState) opens(label uint8) (ok, rotated bool) {
	switch {
	case s.over:
		return false, false
	case label == s.cur:
		return true, false
	case label == s.prev:
		return !s.login && !s.retired, s.login
	}
	return false, false
}

func (s linState) proved(label uint8) bool { return label == 0 || s.proof&(1<<label) != 0 }

func (s linState) mayWork(label uint8) bool { return !s.over && s.proved(label) }

// apply returns the state after e, or false when e can't have happened in s.
func (s linState) apply(e linEvent) (linState, bool) {
	if legal, only := s.permits(e); only || !legal {
		return s, legal
	}
	switch e.kind {
	case linWrite:
		if e.values.A != 0 {
			s.values.A = e.values.A
		}
		if e.values.B != 0 {
			s.values.B = e.values.B
		}
	case linIncrement, linAdd:
		s.values.N++
	case linReplace:
		user := s.values.User
		s.values = e.values
		s.values.User = user
	case linLogin:
		s.cur, s.prev, s.login, s.retired = e.next, s.cur, true, false
		s.proof = 1 << e.next
		if was := s.values.User; was != "" && was != e.values.User { // another user's values are cleared
			s.values = linValues{}
		}
		s.values.User = e.values.User
	case linRotate:
		s.cur, s.prev, s.login, s.retired = e.next, s.cur, false, false
		s.proof |= 1 << e.next
	case linRetire:
		if s.cur == e.label && !s.login {
			s.retired = true
		}
	case linDestroy, linEnd:
		s = linState{over: true, proof: s.proof}
	}
	return s, true
}

// permits reports whether e can happen in s, and whether it leaves s unchanged.
func (s linState) permits(e linEvent) (legal, only bool) {
	ok, rotated := s.opens(e.label)
	switch e.kind {
	case linOpened:
		return ok, true
	case linRefused:
		return !ok && !rotated, true
	case linUnusable:
		return !ok, true
	case linLate:
		return !s.over && (!s.proved(e.label) || e.label != s.cur && e.label != s.prev), true
	case linCut:
		return !s.proved(e.label), true
	case linRaced:
		return !s.over && s.cur != e.label, true
	case linMayWork:
		return s.mayWork(e.label), true
	case linNoWork:
		return !s.mayWork(e.label), true
	case linGone:
		return s.over, true
	case linRead:
		return s.mayWork(e.label) && s.values == e.values, true
	case linIncrement:
		return s.mayWork(e.label) && s.values.N+1 == e.values.N, false
	case linWrite, linAdd, linReplace:
		return s.mayWork(e.label), false
	case linLogin, linRotate:
		return !s.over && s.cur == e.label, false
	case linEnd:
		return !s.over, false
	}
	return true, false
}

// linModel is the model for porcupine.
func linModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{newLinState()} },
		Step: func(state, input, _ any) []any {
			var next []any
			e := input.(linEvent)
			if e.maybe {
				next = append(next, state)
			}
			if after, ok := state.(linState).apply(e); ok {
				next = append(next, after)
			}
			return next
		},
	}
	return model.ToModel()
}
