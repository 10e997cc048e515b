package soak_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// farmOutcome is the outcome of an operation for its actor's next step.
type farmOutcome int

const (
	farmFine        farmOutcome = iota
	farmOver                    // there is no session, or none for this token
	farmUnavailable             // try again later
)

// farmCall is an operation as its client sees it.
type farmCall struct {
	what     string
	socket   bool
	effect   farmEvent // that it has if it succeeds
	from, to int64     // between these moments
}

// judge records the events that an answer, or the socket's end instead of one, implies.
func (a *farmActor) judge(s *farmSession, call farmCall, v farmView, code int) farmOutcome {
	if code != 0 {
		v.Word = fmt.Sprint("closed with ", code)
	}
	call.effect.told = call.what + ": " + v.Word
	tell := func(kind farmKind) {
		s.record(a.number, call.from, call.to, farmEvent{kind: kind, label: call.effect.label, told: call.effect.told})
	}
	closedBy := func(c int) bool { return code == c }
	switch {
	case v.Word == "ok" && v.ID != s.id:
		a.puzzled(call.what, "another session: "+v.ID)
	case v.Word == "ok":
		switch call.effect.kind {
		case farmRead, farmIncrement:
			call.effect.values = v.farmValues
		case farmDestroy:
			tell(farmOpened)
		}
		s.record(a.number, call.from, call.to, call.effect)
		return farmFine
	case v.Word == "missing":
		tell(farmRefused)
		return farmOver
	case v.Word == "no session", v.Word == "rotated" && call.socket:
		tell(farmCut)
		return farmOver
	case v.Word == "rotated", v.Word == "late":
		tell(farmLate)
		return farmOver
	case v.Word == "gone":
		tell(farmGone)
		return farmOver
	case v.Word == "conflict": // nothing was done
		a.tally.conflicts.Add(1)
	case v.Word == "unavailable", v.Word == "not stored":
		if v.Word == "not stored" || call.socket || call.effect.kind == farmIncrement { // otherwise the load failed
			a.mayHave(s, call)
		}
		return farmUnavailable
	case closedBy(bridge.CodeReconnect):
		a.mayHave(s, call)
		tell(farmCut)
		return farmOver
	case closedBy(bridge.CodeDestroyed):
		a.mayHave(s, call)
		tell(farmGone)
		return farmOver
	case closedBy(bridge.CodeUnavailable):
		a.mayHave(s, call)
		return farmUnavailable
	default:
		a.puzzled(call.what, v.Word)
	}
	return farmFine
}

// mayHave records an unacknowledged effect: it may come at any time, or never.
func (a *farmActor) mayHave(s *farmSession, call farmCall) {
	e := call.effect
	e.maybe = true
	switch e.kind {
	case farmRead, farmOpened:
		return
	case farmIncrement:
		e.kind = farmAdd
	}
	a.tally.unknown.Add(1)
	s.record(a.number, call.from, farmForever, e)
}

const farmForever = math.MaxInt64

// farmSession has the tokens and events of one session.
type farmSession struct {
	id    string
	begin farmState // when it was created

	mu     sync.Mutex
	events []porcupine.Operation
	labels int        // given out so far
	newest farmCookie // of those that an actor has received
	past   bool       // its browser has been to get a new one
}

// record adds an event that took effect between two moments.
func (s *farmSession) record(actor int, from, to int64, e farmEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, porcupine.Operation{ClientId: actor, Input: e, Call: from, Return: to})
}

// nextLabel names a token that is about to be made.
func (s *farmSession) nextLabel() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels++
	return s.labels
}

func (s *farmSession) receive(c farmCookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = c
}

// isOver reports whether an actor was told that the session is over.
func (s *farmSession) isOver() bool { return s.overSince() != farmForever }

// succeeds reports, once, that the session is over and its browser may get another: of two for one
// client, the older one's sockets would be told to reconnect.
func (s *farmSession) succeeds() bool {
	if !s.isOver() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.past
	s.past = true
	return !was
}

// overSince returns when an actor was first told that the session is over.
func (s *farmSession) overSince() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := int64(farmForever)
	for _, op := range s.events {
		if e := op.Input.(farmEvent); !e.maybe && (e.kind == farmDestroy || e.kind == farmGone) {
			since = min(since, op.Return)
		}
	}
	return since
}

// farmFaults are the faults of a session that are found by counting, without the model.
type farmFaults struct {
	lost    int // acknowledged increments that are missing, or have the same result as another
	twice   int // increments that are there more than once
	revived int // operations that were let in after the end
	denied  int // requests for a new session that failed, though the old one's end was not under way
}

// faults counts them. The last operation was a read of the stored session.
func (s *farmSession) faults() (f farmFaults) {
	over := s.overSince()
	s.mu.Lock()
	defer s.mu.Unlock()
	acknowledged, unknown, last, stored := 0, 0, s.begin.values.N, -1
	answers := map[int]bool{}
	for _, op := range s.events {
		e := op.Input.(farmEvent)
		switch e.kind {
		case farmAdd:
			unknown++
		case farmIncrement:
			acknowledged++
			if answers[e.values.N] {
				f.lost++
			}
			answers[e.values.N], last = true, max(last, e.values.N)
		case farmRead:
			last = max(last, e.values.N)
			if e.label == 0 {
				stored = e.values.N
			}
		case farmEnding:
			if !s.endsDuring(op) {
				f.denied++
			}
		}
		if !e.maybe && op.Call > over && slices.Contains([]farmKind{farmOpened, farmRead, farmWrite, farmIncrement, farmLogin}, e.kind) {
			f.revived++
		}
	}
	if stored >= 0 {
		f.lost = max(f.lost, s.begin.values.N+acknowledged-stored)
	}
	f.twice = max(0, last-s.begin.values.N-acknowledged-unknown)
	return f
}

// endsDuring reports whether an end of the session was under way at the time of op. A node that
// gets the answer of the end late, because its connection is slow, takes a request that began
// before that for one from before the end. s.mu is held.
func (s *farmSession) endsDuring(op porcupine.Operation) bool {
	return slices.ContainsFunc(s.events, func(end porcupine.Operation) bool {
		return end.Input.(farmEvent).kind == farmDestroy && end.Call < op.Return && end.Return > op.Call
	})
}

func (s *farmSession) check() porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(farmModel(s.begin), s.essential(), 5*time.Minute)
}

// essential reduces the number of orders that the model has to try: unacknowledged events can come
// in very many orders. Adds with one token are alike, so they get a fixed order, that of their
// beginnings. An unacknowledged write whose value was never read is left out.
func (s *farmSession) essential() (events []porcupine.Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := map[int]bool{0: true}
	for _, op := range s.events {
		if e := op.Input.(farmEvent); e.kind == farmRead {
			read[e.values.A], read[e.values.B] = true, true
		}
	}
	turns := map[int]int{}
	for _, op := range slices.SortedStableFunc(slices.Values(s.events), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }) {
		e := op.Input.(farmEvent)
		switch {
		case e.maybe && e.kind == farmWrite && !read[e.values.A+e.values.B]: // one of them is 0
			continue
		case e.maybe && e.kind == farmAdd && e.label < farmTurns:
			turns[e.label]++
			e.turn = turns[e.label]
			op.Input = e
		}
		events = append(events, op)
	}
	return events
}

// story returns the session's history as text.
func (s *farmSession) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.events, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range s.events {
		until := fmt.Sprint(op.Return)
		if op.Return == farmForever {
			until = "…"
		}
		fmt.Fprintf(&b, "  %5d–%-5s actor %d: %v\n", op.Call, until, op.ClientId, op.Input)
	}
	return b.String()
}
