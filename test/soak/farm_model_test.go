package soak_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// farmState is one session as the model has it: a value that changes in one step at a time. Tokens
// have labels, from 1; each but the first is a login's.
type farmState struct {
	over      bool
	cur, prev int
	values    farmValues
	adds      [farmTurns]int // unacknowledged adds by token, as many as have taken effect
}

const farmTurns = 32 // tokens whose adds have a fixed order

// farmValues are the values of a session. 0 and "" are for a key that it doesn't have.
type farmValues struct {
	N, A, B int
	User    string
}

// farmKind is the kind of an event: an operation or an observation.
type farmKind string

const (
	farmOpened    farmKind = "opened"    // the token opened the session
	farmRead      farmKind = "read"      // and these were its values
	farmRefused   farmKind = "refused"   // the token opened nothing
	farmLate      farmKind = "late"      // a login has replaced the token
	farmCut       farmKind = "cut"       // a connection that had proved the token was no longer let in
	farmGone      farmKind = "gone"      // the session was over
	farmEnding    farmKind = "ending"    // it had just ended, so there was no new one for its cookie yet
	farmWrite     farmKind = "write"     // A and B, where they aren't 0
	farmIncrement farmKind = "increment" // N is the result
	farmAdd       farmKind = "add"       // an increment with an unknown result
	farmLogin     farmKind = "login"     // next replaced the token
	farmDestroy   farmKind = "destroy"   // the session is over, whatever it was before
)

// farmEvent is an operation, or a part of one, that took effect at one moment.
type farmEvent struct {
	kind   farmKind
	label  int // the actor's token; 0: it needed none
	next   int // the new token
	values farmValues
	maybe  bool   // or never: it is unacknowledged
	turn   int    // its place among the unacknowledged adds of the same token, from 1; 0: at any time
	told   string // the answer, for the story
}

func (e farmEvent) String() string {
	text := fmt.Sprintf("%s token=%d next=%d %+v %s", e.kind, e.label, e.next, e.values, e.told)
	if e.maybe {
		return text + " (or not)"
	}
	return text
}

// permits reports whether e can happen in s.
func (s farmState) permits(e farmEvent) bool {
	opens := !s.over && (e.label == 0 || e.label == s.cur)
	switch e.kind {
	case farmRead:
		return opens && e.values == s.values
	case farmIncrement:
		return opens && e.values.N == s.values.N+1
	case farmOpened, farmWrite, farmAdd, farmLogin:
		return opens
	case farmRefused:
		return s.over || e.label != s.cur && e.label != s.prev
	case farmLate:
		return !s.over && e.label != s.cur
	case farmCut:
		return !opens
	case farmGone, farmEnding:
		return s.over
	}
	return true
}

// after returns the state that e leaves.
func (s farmState) after(e farmEvent) farmState {
	switch e.kind {
	case farmIncrement, farmAdd:
		s.values.N++
	case farmWrite:
		if e.values.A != 0 {
			s.values.A = e.values.A
		}
		if e.values.B != 0 {
			s.values.B = e.values.B
		}
	case farmLogin:
		s.cur, s.prev, s.values.User = e.next, s.cur, e.values.User
	case farmDestroy:
		s = farmState{over: true, adds: s.adds}
	}
	return s
}

// farmModel is the model for porcupine. An unacknowledged event lasts for ever, so it can always
// come at the very end, where no later read sees it. That covers the case that it never happens.
func farmModel(begin farmState) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return begin },
		Step: func(state, input, _ any) (bool, any) {
			s, e := state.(farmState), input.(farmEvent)
			if e.turn != 0 {
				if s.adds[e.label] != e.turn-1 {
					return false, s
				}
				s.adds[e.label]++
			}
			if s.permits(e) {
				return true, s.after(e)
			}
			return e.maybe, s
		},
		DescribeOperation: func(input, _ any) string { return input.(farmEvent).String() },
	}
}
