package filestore

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// model is what a store should hold: beside it, told of every change before it is begun and after it was answered. What a
// store may hold after a crash follows from the two.
type model struct {
	mu       sync.Mutex
	number   uint64 // of the last version that anybody tried to store
	clock    uint64 // counts beginnings and answers
	sessions map[sessionKey]*modelSession
	order    []sessionKey // in which they were met, so that a seed repeats what is picked
	names    int          // of shared sessions
	answered int          // changes that were acknowledged, ever
	history  []string
	problems []problem
	journal  func(event) // nil, or is told of everything, so that another process can follow
}

type sessionKey struct{ app, id string }

// modelSession is what is known of one session.
type modelSession struct {
	sessionKey
	floor    state     // acknowledged, or seen in the store: nothing older may be there
	opened   state     // was there when the store was opened: durable, however little is synced
	attempts []attempt // since then, and what was there then
	seens    map[int64]bool
	minSeen  int64 // of the version that is the floor, if it was found by opening
	ended    int   // how often the store was opened since it is gone
}

// state is what a session is at some time: which version, if it is there.
type state struct {
	stage  stage
	number uint64 // of the version; 0: it isn't there
}

// stage orders the states that a session goes through: its life, from 1, above its revision; once destroyed, gone.
type stage uint64

const gone = math.MaxUint32

func stageOf(life, revision uint64) stage { return stage(life<<32 | revision) }
func (p stage) life() uint64              { return uint64(p) >> 32 }
func (p stage) revision() uint64          { return uint64(p) & gone }

// attempt is a change that was begun.
type attempt struct {
	state
	began, answered uint64 // clock; answered 0: it wasn't, or not yet
	withdrawn       bool   // the answer was that it wasn't made
}

// problem is what the store did wrong.
type problem struct {
	kind string // lost, invented, inconsistent
	text string
}

func (p problem) String() string { return p.kind + ": " + p.text }

const (
	lost         = "lost"
	invented     = "invented"
	inconsistent = "inconsistent"
)

func newModel() *model { return &model{sessions: map[sessionKey]*modelSession{}} }

func (m *model) note(format string, args ...any) {
	if len(m.history) == 400 {
		m.history = append(m.history[:0], m.history[200:]...)
	}
	m.history = append(m.history, fmt.Sprintf("%d ", m.clock)+fmt.Sprintf(format, args...))
}

// report is for what a store does wrong while it is open.
func (m *model) report(kind, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	m.note("PROBLEM %s: %s", kind, text)
	m.problems = append(m.problems, problem{kind, text})
}

// session returns what is known of the session. mu is held.
func (m *model) session(key sessionKey) *modelSession {
	s := m.sessions[key]
	if s == nil {
		s = &modelSession{sessionKey: key, seens: map[int64]bool{}}
		m.sessions[key] = s
		m.order = append(m.order, key)
	}
	return s
}

// asked is an attempt that waits for its answer.
type asked struct {
	session *modelSession
	index   int
	began   uint64
}

// begin is called before a change is asked for.
func (m *model) begin(s *modelSession, st state, what string) asked {
	m.clock++
	m.note("%s %v of %s: %d.%d is version %d", what, s.id, s.app, st.stage.life(), st.stage.revision(), st.number)
	s.attempts = append(s.attempts, attempt{state: st, began: m.clock})
	return asked{s, len(s.attempts) - 1, m.clock}
}

// beginSet returns the version that is to be stored over the revision of the life; 0, 0 creates.
func (m *model) beginSet(key sessionKey, life, revision uint64) (number uint64, c asked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.number++
	c = m.beginVersion(key, life, revision, m.number)
	m.tell(event{Op: "set", At: c.began, App: key.app, ID: key.id, Life: life, Revision: revision, Number: m.number})
	return m.number, c
}

// beginVersion is beginSet of a version that has its number. mu is held.
func (m *model) beginVersion(key sessionKey, life, revision, number uint64) asked {
	s := m.session(key)
	s.seens[versionOf(key, number).Seen.UnixMicro()] = true
	return m.begin(s, state{stageOf(life, revision+1), number}, "set")
}

func (m *model) beginDestroy(key sessionKey, life uint64) asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.begin(m.session(key), state{stage: stageOf(life, gone)}, "destroy")
	m.tell(event{Op: "destroy", At: c.began, App: key.app, ID: key.id, Life: life})
	return c
}

func (m *model) beginTouch(key sessionKey, seen time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	m.note("touch %s of %s to %v", key.id, key.app, seen)
	m.session(key).seens[seen.UnixMicro()] = true
	m.tell(event{Op: "touch", App: key.app, ID: key.id, Seen: seen})
}

// made: the change was acknowledged.
func (m *model) made(c asked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	m.answered++
	a := &c.session.attempts[c.index]
	a.answered = m.clock
	m.note("acknowledged: %d", a.began)
	m.tell(event{Op: "made", At: c.began})
	c.session.raise(a.state)
}

// notMade: the answer was that the change wasn't made.
func (m *model) notMade(c asked, why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	m.note("not made: %d: %v", c.began, why)
	m.tell(event{Op: "not made", At: c.began})
	c.session.attempts[c.index].withdrawn = true
}

// raise makes the state the floor, if it isn't below it.
func (s *modelSession) raise(st state) {
	if st.stage > s.floor.stage {
		s.floor, s.minSeen = st, math.MinInt64
	}
}

// floorOf returns what must be there at least, at the moment.
func (m *model) floorOf(key sessionKey) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session(key).floor
}

// allowed returns why the store mustn't have the state: nil if it may.
func (s *modelSession) allowed(st, floor state) *problem {
	what := fmt.Sprintf("session %s of app %q", s.id, s.app)
	if st.stage < floor.stage || st.stage == floor.stage && st.number != floor.number {
		kind := lost
		if floor.number == 0 {
			kind = invented
		}
		return &problem{kind, fmt.Sprintf("%s is at %v, but %v was acknowledged", what, st, floor)}
	}
	if st == floor || slices.ContainsFunc(s.attempts, func(a attempt) bool { return a.state == st && !a.withdrawn }) {
		return nil
	}
	return &problem{invented, fmt.Sprintf("%s is at %v, which nobody tried to store; at least %v", what, st, floor)}
}

func (st state) String() string {
	switch {
	case st.stage == 0:
		return "nothing yet"
	case st.number == 0:
		return fmt.Sprintf("the end of life %d", st.stage.life())
	}
	return fmt.Sprintf("life %d revision %d, version %d", st.stage.life(), st.stage.revision(), st.number)
}

// absent returns the state that an absent session is in: the last end that it can have come to, if it can have come to one.
func (s *modelSession) absent(floor state) state {
	st := state{}
	if floor.number == 0 {
		st = floor
	}
	for _, a := range s.attempts {
		if a.number == 0 && !a.withdrawn && a.stage > st.stage {
			st = a.state
		}
	}
	return st
}

// present returns the state that a session with this version is in; false if nobody tried to store it.
func (s *modelSession) present(number, revision uint64) (state, bool) {
	for _, a := range s.attempts {
		if a.number == number && a.stage.revision() == revision {
			return a.state, true
		}
	}
	return state{}, false
}
