package filestore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// alone: only one writer changes the session, and no sweep finds it.
func (k sessionKey) alone() bool { return !strings.HasPrefix(k.id, "shared-") && !k.expiring() }

// sharedLimit is how many sessions of an app are shared at a time.
const sharedLimit = 12

// pick returns a shared session that is there as far as is known.
func (m *model) pick(app string, random *rand.Rand) (sessionKey, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.sharedKeys(app)
	if len(keys) == 0 {
		return sessionKey{}, false
	}
	return keys[random.IntN(len(keys))], true
}

// newShared returns the key of a session for all, if there is room for another; half of them expire.
func (m *model) newShared(app string, random *rand.Rand) (sessionKey, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sharedKeys(app)) >= sharedLimit {
		return sessionKey{}, false
	}
	m.names++
	kind := "shared-"
	if random.IntN(2) == 0 {
		kind = "x-"
	}
	return sessionKey{app, fmt.Sprintf("%s%d", kind, m.names)}, true
}

// sharedKeys returns the shared sessions that are there, in order. mu is held.
func (m *model) sharedKeys(app string) []sessionKey {
	var keys []sessionKey
	for _, key := range m.order {
		if s := m.sessions[key]; s != nil && key.app == app && !key.alone() && s.floor.number != 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// now is the time as the tests have it.
func (m *model) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return timeOfNumber(m.number)
}

// allFloors returns what must be there at least.
func (m *model) allFloors(app string) map[sessionKey]state {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[sessionKey]state{}
	for key, s := range m.sessions {
		if key.app == app {
			found[key] = s.floor
		}
	}
	return found
}

// sweeping is a sweep that was begun: it may destroy any session that expires.
type sweeping struct {
	app   string
	token uint64
	begun map[sessionKey]asked
}

func (m *model) beginSweep(app string) sweeping {
	m.mu.Lock()
	defer m.mu.Unlock()
	sw := sweeping{app, m.clock, map[sessionKey]asked{}}
	for _, key := range m.order {
		if s := m.sessions[key]; s != nil && key.app == app && key.expiring() {
			sw.begun[key] = m.begin(s, state{stage: stageOf(1, gone)}, "sweep")
		}
	}
	m.clock++
	m.tell(event{Op: "sweep", At: sw.token, App: app})
	return sw
}

// swept is told what a sweep has returned.
func (m *model) swept(sw sweeping, records []store.Record, err error, now time.Time) {
	removed := map[string]bool{}
	for i := range records {
		rec := &records[i]
		key := sessionKey{sw.app, rec.ID}
		number, wrong := identify(key, rec)
		switch {
		case wrong != nil:
			m.report(invented, "a sweep returns %s: %v", key.id, wrong)
		case !rec.Expired(now):
			m.report(inconsistent, "a sweep at %v removes %s, which expires %v", now, key.id, rec.Expires)
		}
		m.sweptLast(key, state{stageOf(1, rec.Revision), number})
		removed[rec.ID] = true
	}
	m.endSweep(sw, removed, err == nil)
}

// endSweep: these sessions were removed, and no others, if that is all.
func (m *model) endSweep(sw sweeping, removed map[string]bool, all bool) {
	for id := range removed {
		key := sessionKey{sw.app, id}
		c, ok := sw.begun[key]
		if !ok { // it was created since
			c = m.beginDestroy(key, 1)
		}
		m.made(c)
	}
	for key, c := range sw.begun {
		if all && !removed[key.id] {
			m.notMade(c, nil)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if all {
		m.tell(event{Op: "swept", At: sw.token, IDs: slices.Collect(maps.Keys(removed))})
	}
}

// sweptLast: no later version than the one that the sweep removed can have been acknowledged.
func (m *model) sweptLast(key sessionKey, st state) {
	m.mu.Lock()
	last := state{}
	for _, a := range m.session(key).attempts {
		if a.number != 0 && a.answered != 0 && a.stage > last.stage {
			last = a.state
		}
	}
	m.mu.Unlock()
	if st.stage < last.stage {
		m.report(lost, "a sweep removes %s at %v; %v was acknowledged", key.id, st, last)
	}
}
