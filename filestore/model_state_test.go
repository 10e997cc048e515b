package filestore

import (
	"fmt"
	"math"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// saw is told what a Get has returned. floor is what was acknowledged before it was called.
func (m *model) saw(key sessionKey, rec *store.Record, floor state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.session(key)
	st, p := s.find(rec, floor)
	if p != nil {
		m.note("PROBLEM %v", p)
		m.problems = append(m.problems, *p)
		return
	}
	m.clock++
	s.raise(st)
}

// find returns the state that the session is in, by its record; nil: it isn't there.
func (s *modelSession) find(rec *store.Record, floor state) (state, *problem) {
	if rec == nil {
		st := s.absent(floor)
		return st, s.allowed(st, floor)
	}
	what := fmt.Sprintf("session %s of app %q", s.id, s.app)
	number, err := identify(s.sessionKey, rec)
	if err != nil {
		return state{}, &problem{invented, fmt.Sprintf("%s: %v", what, err)}
	}
	st, ok := s.present(number, rec.Revision)
	switch {
	case !ok:
		kind := invented
		if number > 0 && st.stage < floor.stage {
			kind = lost
		}
		return st, &problem{kind, fmt.Sprintf("%s has version %d, revision %d, which nobody has tried to store since: %v", what, number, rec.Revision, floor)}
	case !s.seens[rec.Seen.UnixMicro()]:
		return st, &problem{invented, fmt.Sprintf("%s was seen %v, which nobody said", what, rec.Seen)}
	case st == s.opened && rec.Seen.UnixMicro() < s.minSeen:
		return st, &problem{lost, fmt.Sprintf("%s was seen %v, before what was found when it was opened", what, rec.Seen)}
	}
	return st, s.allowed(st, floor)
}

// floors say what must be in a store at least.
type floors func(s *modelSession) state

var (
	// acknowledged: every change that was acknowledged.
	acknowledged floors = func(s *modelSession) state { return s.floor }
	// openedWith: what was there when the store was opened.
	openedWith floors = func(s *modelSession) state { return s.opened }
)

// compare returns what is wrong with what was found, and the states that the sessions are in.
func (m *model) compare(found contents, floor floors) (map[sessionKey]state, []problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var problems []problem
	states := map[sessionKey]state{}
	for key, rec := range found {
		if m.sessions[key] == nil {
			problems = append(problems, problem{invented, fmt.Sprintf("session %s of app %q, which nobody tried to store: %v", key.id, key.app, rec)})
		}
	}
	for key, s := range m.sessions {
		var rec *store.Record
		if r, ok := found[key]; ok {
			rec = &r
		}
		st, p := s.find(rec, floor(s))
		if p != nil {
			problems = append(problems, *p)
			continue
		}
		states[key] = st
	}
	if len(problems) == 0 {
		problems = m.outOfOrder(states)
	}
	return states, problems
}

// outOfOrder: if a change is there, so is every other that was acknowledged before it was asked for. A session that isn't there may
// not have been there yet, or may not be there any more: it counts as what doesn't accuse.
func (m *model) outOfOrder(states map[sessionKey]state) []problem {
	firstLost, lastKept := uint64(math.MaxUint64), uint64(0)
	for key, st := range states {
		s := m.sessions[key]
		least := st
		if st.number == 0 {
			least = s.firstAbsent()
		}
		made := s.maker(least)
		for i := range s.attempts {
			a := &s.attempts[i]
			switch {
			case a.withdrawn:
			case a.stage <= least.stage && a.answered != 0, a == made:
				lastKept = max(lastKept, a.began)
			case a.stage > least.stage && a.stage <= st.stage:
			case a.stage > st.stage && a.answered != 0:
				firstLost = min(firstLost, a.answered)
			}
		}
	}
	if firstLost < lastKept {
		return []problem{{lost, fmt.Sprintf("what was answered at %d, but not what was asked for later, at %d", firstLost, lastKept)}}
	}
	return nil
}

// maker returns what was asked for first of what would have made the state: of several sweeps, say, any may have taken the session, and the later ones
// prove nothing. Of what was answered it is known.
func (s *modelSession) maker(st state) *attempt {
	for i := range s.attempts {
		if a := &s.attempts[i]; !a.withdrawn && a.state == st {
			return a
		}
	}
	return nil
}

// firstAbsent returns the first state since the store was opened in which the session wasn't there.
func (s *modelSession) firstAbsent() state {
	if s.opened.number == 0 {
		return s.opened
	}
	for _, a := range s.attempts {
		if a.number == 0 && !a.withdrawn {
			return a.state
		}
	}
	return s.opened
}

// opened is told what was found in the store when it was opened: from now on that must be there at least.
func (m *model) opened(found contents, states map[sessionKey]state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note("opened with %d sessions", len(found))
	for key, s := range m.sessions {
		st := states[key]
		if st.number == 0 {
			if s.ended++; s.ended > 3 {
				delete(m.sessions, key)
				m.order = slices.DeleteFunc(m.order, func(k sessionKey) bool { return k == key })
				continue
			}
		}
		s.floor, s.opened = st, st
		s.attempts = append(s.attempts[:0], attempt{state: st})
		rec, ok := found[key]
		s.minSeen = math.MinInt64
		if ok {
			s.minSeen = rec.Seen.UnixMicro()
			s.seens = map[int64]bool{s.minSeen: true}
		}
	}
}

// closed is told that the store was closed without an error: all of it is durable.
func (m *model) closed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note("closed")
	for _, s := range m.sessions {
		s.opened = s.floor
	}
}
