package presence

import (
	"crypto/rand"
	"slices"
	"time"
)

const (
	remembered   = 1024             // changes that a node remembers, for nodes that poll it
	forgetAfter  = 30 * time.Second // the time since the last poll after which a node records nothing
	hintInterval = 50 * time.Millisecond
)

// local is what a node tells others of its own users. It is guarded by the lock of its Tracker.
type local struct {
	source              // of this process
	changes   []change  // the last ones
	polled    time.Time // by another node
	recording bool
	hinting   bool // a hint is planned
}

// change is a change of a node's users.
type change struct {
	user   string
	online bool
	since  time.Time
}

// Since is what another node knows of each node already: its version, by its instance.
type Since map[string]uint64

// Item is a part of an answer. The first one has Instance, Version, Known and Count; the others are
// Count users who have come, or gone.
type Item struct {
	Instance string `json:"instance,omitempty"`
	Version  uint64 `json:"version,omitempty"`
	Known    uint64 `json:"known,omitempty"` // the version that the changes begin at; 0: these are all users
	Count    int    `json:"count,omitempty"`
	User     string `json:"user,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
	Age      int64  `json:"age,omitempty"` // among all users: milliseconds of being connected, at least
}

// begin begins to record this node's users. The lock is held, and so is that of the caller, under which
// Changed is called.
func (l *local) begin(users Users) {
	if l.recording {
		return
	}
	l.source = source{instance: rand.Text(), version: 1, users: make(map[string]time.Time)}
	l.changes, l.recording = nil, true
	users(func(user string, since time.Time) { l.users[user] = since })
}

// add records a change.
func (l *local) add(c change) {
	l.version++
	if c.online {
		l.users[c.user] = c.since
	} else {
		delete(l.users, c.user)
	}
	if l.changes = append(l.changes, c); len(l.changes) >= 2*remembered {
		l.changes = slices.Delete(l.changes, 0, remembered)
	}
}

// answer returns what a node that knows this version has to learn.
func (l *local) answer(known uint64) []Item {
	items := []Item{{Instance: l.instance, Version: l.version}}
	if behind := l.version - known; known > 0 && known <= l.version && behind <= uint64(len(l.changes)) {
		items[0].Known = known
		for _, c := range l.changes[uint64(len(l.changes))-behind:] {
			items = append(items, Item{User: c.user, Gone: !c.online})
		}
	} else {
		for user, since := range l.users {
			items = append(items, Item{User: user, Age: time.Since(since).Milliseconds()})
		}
	}
	items[0].Count = len(items) - 1
	return items
}
