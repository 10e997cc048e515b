package filestore

import (
	"fmt"
	"time"
)

// event is what a model tells of, so that a model in another process can know the same.
type event struct {
	Op       string // set, destroy, touch, sweep: begun; made, not made, swept: answered; open, problem
	At       uint64 `json:",omitzero"` // which beginning
	App, ID  string `json:",omitzero"`
	Life     uint64 `json:",omitzero"`
	Revision uint64 `json:",omitzero"`
	Number   uint64 `json:",omitzero"`

	Seen time.Time `json:",omitzero"`
	IDs  []string  `json:",omitzero"`
	Text string    `json:",omitzero"`
}

// tell tells the journal. mu is held: what it is told it is told in order.
func (m *model) tell(e event) {
	if m.journal != nil {
		m.journal(e)
	}
}

// follower has a model follow another one's journal.
type follower struct {
	m      *model
	begun  map[uint64]asked
	sweeps map[uint64]sweeping
	opened bool
}

func newFollower(m *model) *follower {
	return &follower{m: m, begun: map[uint64]asked{}, sweeps: map[uint64]sweeping{}}
}

func (f *follower) follow(e event) {
	key := sessionKey{e.App, e.ID}
	switch e.Op {
	case "open":
		f.opened = true
	case "set":
		f.m.mu.Lock()
		f.begun[e.At] = f.m.beginVersion(key, e.Life, e.Revision, e.Number)
		f.m.number = max(f.m.number, e.Number)
		f.m.mu.Unlock()
	case "destroy":
		f.begun[e.At] = f.m.beginDestroy(key, e.Life)
	case "touch":
		f.m.beginTouch(key, e.Seen)
	case "sweep":
		f.sweeps[e.At] = f.m.beginSweep(e.App)
	case "swept":
		removed := map[string]bool{}
		for _, id := range e.IDs {
			removed[id] = true
		}
		f.m.endSweep(f.sweeps[e.At], removed, true)
	case "made", "not made": // of a sweep's it is told by "swept"
		c, ok := f.begun[e.At]
		switch {
		case ok && e.Op == "made":
			f.m.made(c)
		case ok:
			f.m.notMade(c, nil)
		}
	case "problem":
		f.m.report(inconsistent, "in the child: %s", e.Text)
	default:
		f.m.report(inconsistent, "the child says %s", fmt.Sprint(e))
	}
}
