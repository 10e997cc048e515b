package filestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// beginSweep is called before a sweep: it may destroy any session that expires.
func (m *model) beginSweep(app string) map[sessionKey]asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	begun := map[sessionKey]asked{}
	for _, key := range m.order {
		if s := m.sessions[key]; s != nil && key.app == app && key.expiring() {
			begun[key] = m.begin(s, state{stage: stageOf(1, gone)}, "sweep")
		}
	}
	return begun
}

// swept is told what a sweep has returned.
func (m *model) swept(app string, begun map[sessionKey]asked, records []store.Record, err error, now time.Time) {
	removed := map[sessionKey]bool{}
	for i := range records {
		rec := &records[i]
		key := sessionKey{app, rec.ID}
		c, ok := begun[key]
		switch number, wrong := identify(key, rec); {
		case wrong != nil:
			m.report(invented, "a sweep returns %s: %v", key.id, wrong)
		case !rec.Expired(now):
			m.report(inconsistent, "a sweep at %v removes %s, which expires %v", now, key.id, rec.Expires)
		case !ok: // created since
			c = m.beginDestroy(key, 1)
			fallthrough
		default:
			m.sweptLast(key, state{stageOf(1, rec.Revision), number})
		}
		removed[key] = true
		m.made(c)
	}
	if err != nil && !errors.Is(err, store.ErrClosed) {
		return // anything may have been removed
	}
	for key, c := range begun {
		if !removed[key] {
			m.notMade(c, nil)
		}
	}
}

// sweptLast: no later version than the one that the sweep removed can have been acknowledged.
func (m *model) sweptLast(key sessionKey, st state) {
	m.mu.Lock()
	last := state{}
	for _, a := range m.sessions[key].attempts {
		if a.number != 0 && a.answered != 0 && a.stage > last.stage {
			last = a.state
		}
	}
	m.mu.Unlock()
	if st.stage < last.stage {
		m.report(lost, "a sweep removes %s at %v; %v was acknowledged", key.id, st, last)
	}
}
