package presence

import (
	"context"
	"time"
)

// answer is what has come of a node's answer to a poll.
type answer struct {
	head    Item
	changes []change
}

// poll asks the other nodes. With regular, those that don't answer are counted.
func (t *Tracker) poll(regular bool) {
	t.mu.Lock()
	since := make(Since, len(t.nodes))
	for instance, n := range t.nodes {
		since[instance] = n.version
	}
	t.mu.Unlock()
	answers, answered := make(map[string]*answer), make(map[string]bool)
	err := t.cfg.Poll(context.Background(), since, func(node string, item Item) {
		a := answers[node]
		switch {
		case item.Instance != "":
			a = &answer{head: item}
			answers[node] = a
		case a == nil: // the beginning is lost
			return
		default:
			since := time.Now().Add(-time.Duration(item.Age) * time.Millisecond) // or before
			a.changes = append(a.changes, change{item.User, !item.Gone, since})
		}
		if len(a.changes) == a.head.Count {
			answered[a.head.Instance] = true
			t.learn(a)
		}
	})
	t.failed(err)
	if regular && err == nil { // otherwise nobody could be asked
		t.count(answered)
	}
}

// learn takes over the answer of a node.
func (t *Tracker) learn(a *answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nodes == nil || a.head.Instance == t.local.instance {
		return
	}
	n := t.nodes[a.head.Instance]
	if n == nil {
		n = &source{instance: a.head.Instance, users: make(map[string]time.Time)}
		t.nodes[n.instance] = n
	}
	switch {
	case a.head.Version <= n.version: // another answer was faster
		return
	case a.head.Known == 0:
		t.replace(n, a.changes)
	case a.head.Known > n.version: // it was forgotten meanwhile; the next poll asks for all
		return
	default:
		for _, c := range a.changes[min(n.version-a.head.Known, uint64(len(a.changes))):] {
			t.change(n, c)
		}
	}
	n.version = a.head.Version
}

// replace makes these the users of a node. The lock is held.
func (t *Tracker) replace(n *source, all []change) {
	now := make(map[string]struct{}, len(all))
	for _, c := range all {
		now[c.user] = struct{}{}
		t.change(n, c)
	}
	for name := range n.users {
		if _, is := now[name]; !is {
			t.change(n, change{user: name})
		}
	}
}

// change changes the users of a node. The lock is held.
func (t *Tracker) change(n *source, c change) {
	if _, is := n.users[c.user]; is == c.online {
		return
	}
	if c.online {
		n.users[c.user] = c.since
	} else {
		delete(n.users, c.user)
	}
	t.apply(c)
}

// count counts the polls that nodes haven't answered. After the first poll changes are reported.
func (t *Tracker) count(answered map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for instance, n := range t.nodes {
		if answered[instance] {
			n.misses = 0
			continue
		}
		if n.misses++; n.misses >= maxMisses {
			t.replace(n, nil)
			delete(t.nodes, instance)
		}
	}
	if t.primed || t.online == nil {
		return
	}
	t.primed = true
	for name, u := range t.online {
		if u.fresh {
			t.cfg.Emit(name, true)
		}
	}
}
