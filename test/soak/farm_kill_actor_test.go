package soak_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	killActors = 8
	killUsers  = 5
)

// killUser is logged in with sessions of several actors.
type killUser struct {
	name   string
	mu     sync.Mutex
	begun  int                    // ends of all of the user's sessions that have begun
	done   int                    // and that were answered, or whose node has died
	logged map[*killSession]int64 // those that are logged in, by the login
}

// killSession is a session as its browser knows it.
type killSession struct {
	id      string
	cookie  farmCookie
	sure    int               // increments that were acknowledged
	unknown int               // increments with an unknown outcome
	rebinds int               // sessions that its client has had before
	user    *killUser         // nil: none
	mayBe   map[*killUser]int // possible users, with their number of complete ends before the login

	mu      sync.Mutex
	sockets []*killSocket
	story   []string // the operations, for the text of a failure
}

func (s *killSession) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (s *killSession) all() []*killSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sockets)
}

func (s *killSession) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id + ":\n\t" + strings.Join(s.story, "\n\t") + "\n"
}

// killActor is a browser with one session at a time, which it uses at all nodes.
type killActor struct {
	*killing
	number  int
	random  *rand.Rand
	session *killSession // nil: none
}

// killStep is something that a browser does, with how often it does that.
type killStep struct {
	weight int
	do     func(a *killActor, s *killSession)
	count  func(c *killCount) *atomic.Int64 // nil: it ends nothing
}

var killSteps = []killStep{
	{40, (*killActor).burst, nil},
	{12, (*killActor).read, nil},
	{20, (*killActor).dial, nil},
	{1, (*killActor).leaveOne, nil},
	{4, (*killActor).notify, nil},
	{3, (*killActor).login, func(c *killCount) *atomic.Int64 { return &c.logins }},
	{1, (*killActor).rebind, func(c *killCount) *atomic.Int64 { return &c.rebinds }},
	{1, (*killActor).logout, func(c *killCount) *atomic.Int64 { return &c.logouts }},
	{1, (*killActor).destroyByID, func(c *killCount) *atomic.Int64 { return &c.byID }},
	{1, (*killActor).destroyBySocket, func(c *killCount) *atomic.Int64 { return &c.bySocket }},
	{1, (*killActor).destroyUser, func(c *killCount) *atomic.Int64 { return &c.byUser }},
	{1, (*killActor).expire, func(c *killCount) *atomic.Int64 { return &c.expired }},
}

// undone returns the steps that no actor has done yet.
func (c *killCount) undone() (steps []killStep) {
	for _, s := range killSteps {
		if s.count != nil && s.count(c).Load() == 0 {
			steps = append(steps, s)
		}
	}
	return steps
}

// run acts until done. The session that it has then remains. On a busy machine few steps are done, so
// half of those of a session with sockets are some that nobody has done.
func (a *killActor) run(done <-chan struct{}) {
	var steps []func(*killActor, *killSession)
	for _, s := range killSteps {
		for range s.weight {
			steps = append(steps, s.do)
		}
	}
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(a.random.Int64N(int64(50 * time.Millisecond)))):
		}
		if a.session == nil {
			a.beginAt(a.pick(a.random), "")
			continue
		}
		step := steps[a.random.IntN(len(steps))]
		if undone := a.count.undone(); len(undone) > 0 && a.random.IntN(2) == 0 && len(a.opened(a.session)) > 0 {
			step = undone[a.random.IntN(len(undone))].do
		}
		step(a, a.session)
	}
}

// request does an operation of the session at a node; false: its outcome is unknown.
func (a *killActor) request(n *killNode, cookies string, query ...string) (v farmView, res *http.Response, known bool) {
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	a.count.http.Add(1)
	v, res, err := a.ask(n.farmNode, cookies, values)
	if err != nil {
		a.broken(n, query[1], err)
		a.count.unknown.Add(1)
		return v, nil, false
	}
	switch v.Word {
	case "unavailable", "not stored":
		a.count.unknown.Add(1)
		return v, res, false
	}
	return v, res, true
}

// beginAt creates a session, with the client of an older one if there is a cookie of it; false: its
// outcome is unknown.
func (a *killActor) beginAt(n *killNode, client string) bool {
	v, res, known := a.request(n, client, "do", "create")
	if !known {
		return false
	}
	s := &killSession{id: v.ID, sure: 1, cookie: farmCookie{client: client}, mayBe: map[*killUser]int{}}
	if v.Word != "ok" || v.N != 1 || !s.cookie.keep(res) {
		a.puzzled("create", v)
		return false
	}
	a.count.sessions.Add(1)
	s.tell("created at %s, client %s", n.name, client)
	a.session = s
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ever = append(a.ever, s)
	return true
}

func (a *killActor) puzzled(what string, v farmView) {
	a.t.Errorf("actor %d: %s: %+v", a.number, what, v)
}

// burst increments over HTTP and a socket at once, at two nodes.
func (a *killActor) burst(s *killSession) {
	nodes, sockets := [2]*killNode{a.pick(a.random), a.pick(a.random)}, a.opened(s)
	var views [3]farmView
	var known [3]bool
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { views[i], _, known[i] = a.request(n, s.cookie.header(), "do", "increment") })
	}
	if len(sockets) > 0 {
		socket := sockets[a.random.IntN(len(sockets))]
		a.count.messages.Add(1)
		all.Go(func() { views[2], known[2] = socket.ask("increment") })
	}
	all.Wait()
	over := false
	for i, v := range views {
		switch {
		case i == 2 && len(sockets) == 0:
		case !known[i] || v.Word == "unavailable" || v.Word == "silence":
			s.unknown++
		case v.Word == "ok" && v.ID == s.id:
			s.sure++
		case v.Word == "conflict":
			a.count.conflicts.Add(1)
		case v.Word == "missing", v.Word == "gone", v.Word == "no session":
			over = true
		default:
			a.puzzled("increment", v)
		}
	}
	if over {
		a.surprised(s)
	}
}

func (a *killActor) opened(s *killSession) (open []*killSocket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, socket := range s.sockets {
		switch {
		case socket.judged.Load():
		case socket.isOpen():
			open = append(open, socket)
		case !socket.left.Load() && socket.code == -1 && !socket.node.killed.Load():
			a.t.Errorf("a socket has ended without a word, at a node that is alive")
			socket.left.Store(true)
		}
	}
	return open
}

// read looks at the session at some node.
func (a *killActor) read(s *killSession) {
	v, _, known := a.request(a.pick(a.random), s.cookie.header(), "do", "read")
	switch {
	case !known:
	case v.Word == "missing", v.Word == "gone":
		a.surprised(s)
	case v.Word != "ok" || v.ID != s.id:
		a.puzzled("read", v)
	default:
		a.compare(s, v.N)
	}
}

// compare fails if an update is lost, or was done twice.
func (k *killing) compare(s *killSession, n int) {
	if n < s.sure || n > s.sure+s.unknown {
		k.t.Errorf("session counts %d, with %d acknowledged and %d unknown: %v", n, s.sure, s.unknown, s)
	}
}

// surprised is called when the session is over without the actor's doing: all of its user's
// sessions must have been ended.
func (a *killActor) surprised(s *killSession) {
	a.count.surprises.Add(1)
	s.tell("surprised")
	at, explained := a.now(), false
	for u, before := range s.mayBe {
		u.mu.Lock()
		explained = explained || u.begun > before // one that was under way at the login may come after it
		u.mu.Unlock()
	}
	if !explained {
		a.t.Errorf("a session has ended without a reason: %v", s)
	}
	if _, err := a.direct.GetByID(a.t.Context(), s.id); !errors.Is(err, bridge.ErrSessionMissing) {
		a.t.Errorf("a session was gone and is there: %v, %v", err, s)
	}
	a.over(s, at, nil)
}

// over is called when the session has ended, at a node or at an unknown one.
func (a *killActor) over(s *killSession, at time.Time, by *killNode, codes ...int) {
	s.tell("over: %v", codes)
	a.logOut(s)
	if a.session == s {
		a.session = nil
	}
	if codes == nil {
		codes = []int{bridge.CodeDestroyed}
	}
	a.expectEnd(s, &a.ends, at, by, codes...)
}

// logOut is called before the session gets another user, or none.
func (a *killActor) logOut(s *killSession) {
	if s.user != nil {
		s.user.mu.Lock()
		delete(s.user.logged, s)
		s.user.mu.Unlock()
		s.user = nil
	}
}

// dial opens one more socket at any node, and leaves the oldest one if there are many.
func (a *killActor) dial(s *killSession) {
	if open := a.opened(s); len(open) >= 5 {
		open[0].leave()
	}
	a.dialAt(a.pick(a.random), s)
}

func (a *killActor) dialAt(n *killNode, s *killSession) {
	socket, hello, err := a.open(n, s.cookie.header())
	if err != nil {
		a.broken(n, "dial", err)
		return
	}
	a.count.sockets.Add(1)
	s.mu.Lock()
	s.sockets = append(s.sockets, socket)
	s.mu.Unlock()
	s.tell("socket %d at %s: %+v", len(s.all()), n.name, hello)
	switch {
	case hello.ID == s.id:
	case hello.Word == "hello" && hello.ID == "":
		socket.judged.Store(true)
		socket.leave()
		a.surprised(s)
	case hello.Word == "" && (n.killed.Load() || !socket.isOpen()): // its session has ended meanwhile
	default:
		a.puzzled("dial", hello)
	}
}

func (a *killActor) leaveOne(s *killSession) {
	if open := a.opened(s); len(open) > 0 {
		open[a.random.IntN(len(open))].leave()
	}
}

// leaveAll closes every socket.
func (k *killing) leaveAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.ever {
		s.mu.Lock()
		for _, socket := range s.sockets {
			socket.leave()
		}
		s.mu.Unlock()
	}
}

// notify sends all sockets of the session a note, or of its user.
func (a *killActor) notify(s *killSession) {
	open, n, note := a.opened(s), a.pick(a.random), fmt.Sprint("note ", a.fresh.Add(1))
	what, of := "notify session", s.id
	if s.user != nil && a.random.IntN(2) == 0 {
		what, of = "notify user", s.user.name
	}
	at, begun := time.Now(), a.control.Elapsed()
	v, _, known := a.request(n, "", "do", what, "of", of, "text", note)
	if !known {
		return
	}
	a.answered(what, v.Word, at, a.control.Elapsed()-begun)
	if v.Word != "ok" {
		return
	}
	a.judging.Go(func() {
		for _, socket := range open {
			if !socket.hears(note) {
				a.t.Errorf("%s: a socket hasn't been told, which is open", what)
			}
			a.count.notes.Add(1)
		}
	})
}
