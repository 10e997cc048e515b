package gorillacodec

import (
	"maps"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Attempt records the changes that a save makes to a draft. If the save fails, they may have been
// stored nevertheless. Make it with NewAttempt.
type Attempt struct {
	tried map[string]Stored          // what was to be stored; the zero Stored: the key was to be removed
	undo  map[string]gateway.KeyEdit // by the keys of the session: the edits before
	life  *time.Duration             // the edit of its lifetime before
	lives bool                       // life is set
}

// NewAttempt returns an Attempt that has changed nothing yet.
func NewAttempt() *Attempt {
	return &Attempt{tried: make(map[string]Stored), undo: make(map[string]gateway.KeyEdit)}
}

// EndWithBrowser changes whether the session's cookie has no age.
func (a *Attempt) EndWithBrowser(d *gateway.Draft, on bool) {
	a.before(d, gateway.BrowserKey)
	d.EndWithBrowser(on)
}

// SetLifetime changes the session's lifetime.
func (a *Attempt) SetLifetime(d *gateway.Draft, life time.Duration) {
	a.life, a.lives = d.LifetimeEdit(), true
	d.SetLifetime(life)
}

// before notes the draft's edit of a key before it is changed for the first time.
func (a *Attempt) before(d *gateway.Draft, key string) {
	if _, noted := a.undo[key]; !noted {
		a.undo[key] = d.KeyEdit(key)
	}
}

// Undo takes back from the draft all changes of the attempt.
func (a *Attempt) Undo(d *gateway.Draft) {
	for key, was := range a.undo {
		d.Undo(key, was)
	}
	if a.lives {
		d.UndoLifetime(a.life)
	}
}

// Confirmed returns read with those changes of the attempt that now, the present content of the
// space, has: they were stored although the save failed.
func (a *Attempt) Confirmed(read, now map[string]Stored) map[string]Stored {
	values := make(map[string]Stored, len(read))
	maps.Copy(values, read)
	for key, tried := range a.tried {
		switch is, there := now[key]; {
		case there && is.equal(&tried):
			values[key] = is
		case !there && tried.none():
			delete(values, key)
		}
	}
	return values
}
