package bridge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/store"
)

// links is the registry of what is open: by ID, by client and by session. Nothing is waited for while its lock is held; the clock's and the one of what the node holds are its
// inner ones.
type links struct {
	clock     *clock.Clock
	cluster   *cluster
	limits    connLimits
	cuts      cutLimits
	mu        sync.Mutex
	byID      map[string]*Link
	byClient  map[string][]*Link
	bySession map[string]*sessionLinks
	byUser    map[string]map[*sessionLinks]struct{}
	byAddr    map[string]map[*Link]struct{} // nil if their number isn't limited
}

// sessionLinks are the links of one session.
type sessionLinks struct {
	links     []*Link
	userID    string          // "" while nobody is logged in, as far as is known
	revision  uint64          // of the record that says so
	login     uint64          // the generation of the last login that is known: nobody here has proved an older token
	expiry    *clock.Deadline // when to look whether the session has expired; nil: never so far
	idle      time.Duration   // the session's idle timeout
	expires   time.Time       // when it is over as far as is known; zero: never
	seen      time.Time       // the last activity that is known to be recorded
	recording bool            // a later one is being recorded
	failing   time.Time       // since when the store doesn't answer to that; zero: it does
}

func newLinks(clock *clock.Clock, limits connLimits, c *cluster) *links {
	ls := &links{
		clock: clock, cluster: c, limits: limits, cuts: make(cutLimits),
		byID: make(map[string]*Link), byClient: make(map[string][]*Link), bySession: make(map[string]*sessionLinks),
		byUser: make(map[string]map[*sessionLinks]struct{}),
	}
	if limits.perAddr > 0 {
		ls.byAddr = make(map[string]map[*Link]struct{})
	}
	return ls
}

// add registers l; from then on others may cut it. It returns those that have to go for it, which it has cut off.
func (ls *links) add(l *Link) (evicted []*Link, err error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.byID[l.id] != nil {
		return nil, fmt.Errorf("%w: another that is open has it", ErrConnID)
	}
	if evicted, err = ls.makeRoom(l); err != nil {
		return nil, err
	}
	ls.byID[l.id] = l
	l.inClient = int32(len(ls.byClient[l.clientID])) //nolint:gosec // no process has two billion
	ls.byClient[l.clientID] = append(ls.byClient[l.clientID], l)
	if ls.byAddr != nil {
		from := network(l.addr)
		if ls.byAddr[from] == nil {
			ls.byAddr[from] = make(map[*Link]struct{})
		}
		ls.byAddr[from][l] = struct{}{}
	}
	ls.enter(l, l.sessionID)
	return evicted, nil
}

// enter puts l into the list of a session. The lock is held.
func (ls *links) enter(l *Link, sessionID string) {
	l.sessionID = sessionID
	if sessionID == "" {
		return
	}
	if l.had != "" { // otherwise whoever adds it has said
		l.user = ""
	}
	l.had, l.over = sessionID, nil
	sl := ls.bySession[sessionID]
	if sl == nil {
		sl = &sessionLinks{}
		ls.bySession[sessionID] = sl
		ls.cluster.want(holdKey{false, sessionID})
	}
	l.inSession = int32(len(sl.links)) //nolint:gosec // no process has two billion
	sl.links = append(sl.links, l)
}

// leave takes l out of its session's list. The lock is held.
func (ls *links) leave(l *Link) {
	sl := ls.bySession[l.sessionID]
	if sl == nil {
		return
	}
	l.user = cmp.Or(sl.userID, l.user)
	last := len(sl.links) - 1
	moved := sl.links[last]
	sl.links[l.inSession], moved.inSession = moved, l.inSession
	sl.links[last] = nil
	if sl.links = sl.links[:last]; last == 0 {
		ls.forget(l.sessionID, sl)
	}
	l.sessionID = ""
}

// remove takes l out of everything and returns the session that it had last, and whose that was; false when it was out already.
func (ls *links) remove(l *Link) (sessionID, userID string, removed bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.byID[l.id] != l {
		return "", "", false
	}
	delete(ls.byID, l.id)
	list := ls.byClient[l.clientID]
	last := len(list) - 1
	moved := list[last]
	list[l.inClient], moved.inClient = moved, l.inClient
	list[last] = nil
	if last == 0 {
		delete(ls.byClient, l.clientID)
	} else {
		ls.byClient[l.clientID] = list[:last]
	}
	ls.leave(l)
	ls.leaveAddr(l)
	return l.had, l.user, true
}

// forget takes a session out that has no links any more. The lock is held.
func (ls *links) forget(id string, sl *sessionLinks) {
	ls.clock.Remove(sl.expiry)
	delete(ls.bySession, id)
	ls.cluster.drop(holdKey{false, id})
	ls.setUser(sl, "")
}

// setUser notes who is logged in. The lock is held.
func (ls *links) setUser(sl *sessionLinks, userID string) {
	if sl.userID == userID {
		return
	}
	if users := ls.byUser[sl.userID]; users != nil {
		if delete(users, sl); len(users) == 0 {
			delete(ls.byUser, sl.userID)
		}
	}
	if sl.userID = userID; userID == "" {
		return
	}
	if ls.byUser[userID] == nil {
		ls.byUser[userID] = make(map[*sessionLinks]struct{})
	}
	ls.byUser[userID][sl] = struct{}{}
}

// cut parts l from its session.
func (ls *links) cut(l *Link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.leave(l)
}

// cutSession parts all links from a session that is over, and returns them. They are to be closed with c; the zero closing: they stay.
func (ls *links) cutSession(id string, c closing) []*Link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sl := ls.bySession[id]
	if sl == nil {
		return nil
	}
	userID := sl.userID
	ls.forget(id, sl)
	for _, l := range sl.links {
		l.sessionID, l.over, l.user = "", &c, cmp.Or(userID, l.user)
	}
	return sl.links
}

// cutOlder parts the client's links from their sessions, except those that proved the token that rec has, and returns them. Those of other sessions are cut as often as
// cutLimits allow.
func (ls *links) cutOlder(rec *store.Record) []*Link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var older []*Link
	for _, l := range ls.outsiders(rec) {
		ls.leave(l)
		over := reconnect()
		l.over = &over
		older = append(older, l)
	}
	if sl := ls.bySession[rec.ID]; sl != nil { // of the session, whoever their client
		for _, l := range slices.Clone(sl.links) {
			if l.proved < rec.LoginGeneration {
				ls.leave(l)
				over := reconnect()
				l.over = &over
				older = append(older, l)
			}
		}
	}
	return older
}

// follow moves all links of the client to its session. Those that are too many there are closed.
func (ls *links) follow(b *Bridge, rec *store.Record) {
	ls.mu.Lock()
	for _, l := range ls.byClient[rec.ClientID] {
		if l.sessionID != rec.ID {
			ls.leave(l)
			ls.enter(l, rec.ID)
		}
	}
	tooMany := ls.cutTooMany(rec.ID)
	ls.mu.Unlock()
	ls.watch(b, rec)
	b.cluster.holdSoon(rec.ID)
	for _, l := range tooMany {
		l.end(CodePolicy, tooManyThere)
	}
}

func (ls *links) sessionOf(l *Link) (id string, proved uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.sessionID, l.proved
}

// overOf returns how l is to be closed since it has lost its session; the zero closing: it isn't.
func (ls *links) overOf(l *Link) closing {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.over == nil {
		return closing{}
	}
	return *l.over
}

func (ls *links) has(sessionID string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.bySession[sessionID] != nil
}

// userOf returns who is logged in to a session that has links, as far as is known; "" for nobody.
func (ls *links) userOf(sessionID string) string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if sl := ls.bySession[sessionID]; sl != nil {
		return sl.userID
	}
	return ""
}

// revisionOf returns the latest revision of the session that is known here, if it has links.
func (ls *links) revisionOf(sessionID string) uint64 {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if sl := ls.bySession[sessionID]; sl != nil {
		return sl.revision
	}
	return 0
}

func (ls *links) everything() []*Link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.all()
}

// all needs the lock.
func (ls *links) all() []*Link {
	return slices.AppendSeq(make([]*Link, 0, len(ls.byID)), maps.Values(ls.byID))
}

func (ls *links) count() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.byID)
}

func (ls *links) countOfClient(clientID string) int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.byClient[clientID])
}
