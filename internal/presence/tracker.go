package presence

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

const (
	pollEvery = 2 * time.Second
	maxMisses = 2 // polls in a row after which a silent node has no users any more
)

// Config is what a Tracker needs. All fields are set.
type Config struct {
	Grace time.Duration // how long a user may have no connection without being offline
	Clock *clock.Clock
	Go    func(task func()) // runs a task in the background

	// Users calls record, under the lock under which Changed is called, with the users who are connected
	// to this process.
	Users func(record func(Users))
	// Poll asks the other nodes, and calls each with the items of their answers: those of a node
	// come in order. Hint tells the other nodes that this node's users have changed.
	Poll func(ctx context.Context, since Since, each func(node string, item Item)) error
	Hint func(ctx context.Context) error

	Emit   func(user string, online bool)
	Failed func(err error) // reports that the other nodes can't be asked; they will be again
}

// Users yields users, and since when each has a connection, at least.
type Users func(yield func(user string, since time.Time))

// source is a node with its users.
type source struct {
	instance string
	version  uint64
	users    map[string]time.Time // since when each has a connection, at least
	misses   int                  // polls in a row that it hasn't answered
}

// Tracker follows which users are online.
type Tracker struct {
	cfg Config

	mu        sync.Mutex
	local     local
	observers int
	began     time.Time // since when this node observes
	primed    bool      // changes are reported: the first poll is over
	planned   bool      // a poll is planned
	failing   bool
	ticking   bool               // check runs, or tick is planned
	nodes     map[string]*source // the other nodes, by their instances
	online    map[string]*user
	tick      clock.Deadline
}

// user is a user who is online.
type user struct {
	nodes int            // on which the user is connected
	fresh bool           // has come since this node observes, to all nodes that have the user
	leave clock.Deadline // the end of the grace; planned while nodes is 0
}

// New returns a Tracker that doesn't observe.
func New(cfg Config) *Tracker {
	t := &Tracker{cfg: cfg}
	t.tick.Do = func() { t.cfg.Go(t.check) }
	return t
}

// Observe has changes reported until off is called.
func (t *Tracker) Observe() (off func()) {
	t.mu.Lock()
	t.observers++
	first := t.observers == 1
	t.mu.Unlock()
	if first {
		t.begin()
	}
	return sync.OnceFunc(t.unobserve)
}

// begin begins to observe.
func (t *Tracker) begin() {
	t.cfg.Users(func(users Users) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.online != nil || t.observers == 0 {
			return
		}
		t.local.begin(users)
		t.began = time.Now()
		t.nodes, t.online = make(map[string]*source), make(map[string]*user)
		for name := range t.local.users {
			t.come(name, false)
		}
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ticking = true
	t.cfg.Clock.Move(&t.tick, time.Now()) // also if others poll this node, and it is planned for later
}

func (t *Tracker) unobserve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.observers--; t.observers > 0 {
		return
	}
	for _, u := range t.online {
		t.cfg.Clock.Remove(&u.leave)
	}
	t.primed, t.nodes, t.online = false, nil, nil
}

// Changed is called when a user has the first connection to this process, or has lost the last one.
func (t *Tracker) Changed(name string, online bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.local.recording {
		return
	}
	c := change{user: name, online: online, since: time.Now()}
	t.local.add(c)
	if t.online != nil {
		t.apply(c)
	}
	if !t.local.hinting && time.Since(t.local.polled) < forgetAfter {
		t.local.hinting = true
		t.cfg.Clock.Add(time.Now().Add(hintInterval), func() { t.cfg.Go(t.hint) })
	}
}

func (t *Tracker) hint() {
	t.mu.Lock()
	t.local.hinting = false
	t.mu.Unlock()
	if err := t.cfg.Hint(context.Background()); err != nil { // the others will poll
		t.failed(err)
	}
}

// Answer answers a poll of another node.
func (t *Tracker) Answer(since Since) (items []Item) {
	t.cfg.Users(func(users Users) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.local.begin(users)
		t.local.polled = time.Now()
		t.startTicking()
		items = t.local.answer(since[t.local.instance])
	})
	return items
}

// Hint is called when another node hints that its users have changed.
func (t *Tracker) Hint() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.online == nil || t.planned {
		return
	}
	t.planned = true
	t.cfg.Go(func() {
		t.mu.Lock()
		t.planned = false
		t.mu.Unlock()
		t.poll(false)
	})
}

// check polls the other nodes, and once more after a while. If no node observes any more, it forgets
// everything.
func (t *Tracker) check() {
	t.mu.Lock()
	observing := t.online != nil
	if !observing && time.Since(t.local.polled) >= forgetAfter {
		t.local = local{}
	}
	t.mu.Unlock()
	if observing {
		t.poll(true)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ticking = t.local.recording; t.ticking {
		t.cfg.Clock.Move(&t.tick, time.Now().Add(pollEvery))
	}
}

// startTicking has check called after a while, and again and again, as long as this node's users are
// recorded. It has no effect if that is so already: polls of others must not put off its own. The lock
// is held.
func (t *Tracker) startTicking() {
	if !t.ticking {
		t.ticking = true
		t.cfg.Clock.Move(&t.tick, time.Now().Add(pollEvery))
	}
}

func (t *Tracker) failed(err error) {
	t.mu.Lock()
	was := t.failing
	t.failing = err != nil
	t.mu.Unlock()
	if err != nil && !was {
		t.cfg.Failed(err)
	}
}
