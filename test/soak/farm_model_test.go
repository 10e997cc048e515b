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
	adds      [farmTurns]int // that nobody was told of, by their tokens, as far as they have had their turn
}

const farmTurns = 32 // tokens whose adds have turns

// farmValues are what a session holds. 0 and "" are for a key that it doesn't have.
type farmValues struct {
	N, A, B int
	User    string
}

// farmKind is what an event tells: that something was done, or that something was seen to be so.
type farmKind string

const (
	farmOpened    farmKind = "opened"    // the token opened the session
	farmRead      farmKind = "read"      // and these were its values
	farmRefused   farmKind = "refused"   // the token opened nothing
	farmLate      farmKind = "late"      // a login has replaced the token
	farmCut       farmKind = "cut"       // a connection that proved the token was let in no more
	farmGone      farmKind = "gone"      // the session was over
	farmWrite     farmKind = "write"     // A and B, where they aren't 0
	farmIncrement farmKind = "increment" // N is what it came to
	farmAdd       farmKind = "add"       // an increment, nobody knows to what
	farmLogin     farmKind = "login"     // next replaced the token
	farmDestroy   farmKind = "destroy"   // the session is over, whatever it was before
)

// farmEvent is an operation, or a part of one, that took effect at one moment.
type farmEvent struct {
	kind   farmKind
	label  int // the token of whoever did it; 0: it needed none
	next   int // the new token
	values farmValues
	maybe  bool   // or never: nobody was told
	turn   int    // of those adds of the same token that nobody was told of, from 1; 0: at any time
	told   string // in which words, for whoever reads it
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
	case farmGone:
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

// farmModel is the model in porcupine's terms. What nobody was told of lasts for ever, so it can
// always come at the very end, where it changes nothing that anybody has seen: that is how it never
// happens, and it needn't be tried in two ways.
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
