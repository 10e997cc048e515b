package presence

import (
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// apply counts that a user is connected to one node more, or less. The lock is held.
func (t *Tracker) apply(c change) {
	if c.online {
		t.come(c.user, !c.since.Before(t.began))
	} else {
		t.leave(c.user)
	}
}

// come counts a node more for the user. fresh says that the user has come since this node observes. The
// lock is held.
func (t *Tracker) come(name string, fresh bool) {
	u := t.online[name]
	if u == nil {
		u = &user{fresh: true}
		u.leave = clock.Deadline{Do: func() { t.left(name, u) }}
		t.online[name] = u
		if t.primed {
			t.cfg.Emit(name, true)
		}
	}
	u.fresh = u.fresh && fresh
	u.nodes++
	t.cfg.Clock.Remove(&u.leave)
}

// leave counts a node less for the user, who has the grace to come back. The lock is held.
func (t *Tracker) leave(name string) {
	u := t.online[name]
	if u == nil || u.nodes == 0 {
		return
	}
	if u.nodes--; u.nodes == 0 {
		t.cfg.Clock.Move(&u.leave, time.Now().Add(t.cfg.Grace))
	}
}

// left reports a user as offline whose grace has ended.
func (t *Tracker) left(name string, u *user) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.online[name] != u || u.nodes > 0 {
		return
	}
	delete(t.online, name)
	if t.primed {
		t.cfg.Emit(name, false)
	}
}
