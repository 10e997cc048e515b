package soak_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// anyUser returns one of the users, each of which several browsers use.
func (k *killing) anyUser(random *rand.Rand) *killUser {
	return k.users[fmt.Sprint("user", random.IntN(killUsers))]
}

// login logs the session in as some user, of which its sockets at all nodes are notified.
func (a *killActor) login(s *killSession) { a.loginAs(s, a.anyUser(a.random)) }

func (a *killActor) loginAs(s *killSession, u *killUser) {
	a.logOut(s)
	n := a.pick(a.random)
	u.mu.Lock()
	if _, ok := s.mayBe[u]; !ok {
		s.mayBe[u] = u.done
	}
	done := u.done
	u.mu.Unlock()
	v, res, known := a.request(n, s.cookie.header(), "do", "login", "user", u.name)
	at := a.now()
	s.tell("login at %s: %+v", n.name, v)
	switch {
	case !known:
		a.dispose(s) // no actor may have the newest cookie
	case v.Word == "missing", v.Word == "gone":
		a.surprised(s)
	case v.Word == "conflict":
		a.count.conflicts.Add(1)
		a.dispose(s)
	case v.Word != "ok" || !s.cookie.keep(res):
		a.puzzled("login", v)
	default:
		a.count.logins.Add(1)
		u.mu.Lock()
		s.user, s.mayBe = u, map[*killUser]int{u: done}
		u.logged[s] = a.fresh.Add(1)
		u.mu.Unlock()
		a.expectEnd(s, &a.rebinds, at, n, bridge.CodeReconnect, bridge.CodeDestroyed)
	}
}

// maxRebinds is how many times a client's sockets are sure to be cut off from a session that is
// alive: see docs/sockets.md. Those of a later one stay, as the copy of a client cookie must not be
// enough to close its owner's sockets again and again.
const maxRebinds = 2

// rebind gives the client another session. The old one's sockets are to reconnect with the new
// cookies.
func (a *killActor) rebind(s *killSession) {
	if s.rebinds == maxRebinds {
		return
	}
	n := a.pick(a.random)
	a.logOut(s)
	if !a.beginAt(n, s.cookie.client) {
		a.dispose(s)
		return
	}
	a.session.rebinds = s.rebinds + 1
	a.count.rebinds.Add(1)
	s.tell("the client has another session, at %s", n.name)
	ended := a.expectEnd(s, &a.rebinds, a.now(), n, bridge.CodeReconnect, bridge.CodeDestroyed)
	a.judging.Go(func() {
		<-ended
		if _, err := a.direct.DestroyByID(a.t.Context(), s.id); err != nil {
			a.t.Errorf("destroy: %v", err)
		}
	})
}

// dispose ends a session whose state is unknown.
func (a *killActor) dispose(s *killSession) {
	_, err := a.direct.DestroyByID(a.t.Context(), s.id)
	if err != nil {
		a.t.Errorf("destroy: %v", err)
	}
	a.over(s, a.now(), nil, bridge.CodeDestroyed, bridge.CodeReconnect)
}

// ended processes a node's answer to an operation that ends the session.
func (a *killActor) ended(s *killSession, n *killNode, what string, v farmView, known bool) bool {
	at := a.now()
	switch {
	case !known, v.Word == "unavailable", v.Word == "silence", v.Word == "conflict":
		a.dispose(s)
	case v.Word == "missing", v.Word == "gone", v.Word == "no session":
		a.surprised(s)
	case v.Word != "ok":
		a.puzzled(what, v)
	default:
		s.tell("%s at %s", what, n.name)
		a.over(s, at, n)
		return true
	}
	return false
}

func (a *killActor) logout(s *killSession) {
	n := a.pick(a.random)
	v, _, known := a.request(n, s.cookie.header(), "do", "destroy")
	if a.ended(s, n, "logout", v, known) {
		a.count.logouts.Add(1)
	}
}

func (a *killActor) destroyByID(s *killSession) {
	n := a.pick(a.random)
	v, _, known := a.request(n, "", "do", "destroy session", "of", s.id)
	if known && v.Word == "ok" && v.N == 0 {
		v.Word = "missing"
	}
	if a.ended(s, n, "destroy", v, known) {
		a.count.byID.Add(1)
	}
}

func (a *killActor) destroyBySocket(s *killSession) {
	open := a.opened(s)
	if len(open) == 0 {
		return
	}
	a.count.messages.Add(1)
	v, known := open[0].ask("destroy")
	if a.ended(s, open[0].node, "destroy", v, known) {
		a.count.bySocket.Add(1)
	}
}

// destroyUser ends the sessions of some user, also those of other actors.
func (a *killActor) destroyUser(*killSession) {
	u, n := a.anyUser(a.random), a.pick(a.random)
	u.mu.Lock()
	u.begun++
	concerned := maps.Clone(u.logged)
	u.mu.Unlock()
	v, _, known := a.request(n, "", "do", "destroy user", "of", u.name)
	at := a.now()
	u.mu.Lock()
	u.done++
	u.mu.Unlock()
	if !known {
		return
	}
	if v.Word != "ok" {
		a.puzzled("destroy user", v)
		return
	}
	a.count.byUser.Add(1)
	for s, login := range concerned {
		u.mu.Lock()
		same := u.logged[s] == login
		u.mu.Unlock()
		if !same { // its actor has another session now, or knows it
			continue
		}
		s.tell("all of %s end at %s", u.name, n.name)
		if _, err := a.direct.GetByID(a.t.Context(), s.id); !errors.Is(err, bridge.ErrSessionMissing) {
			a.t.Errorf("session %s of %s is there after the end of all: %v", s.id, u.name, err)
		}
		a.expectEnd(s, &a.ends, at, n, bridge.CodeDestroyed)
	}
}

// expire leaves the session to its idle timeout, which is short now.
func (a *killActor) expire(s *killSession) {
	n := a.pick(a.random)
	v, _, known := a.request(n, s.cookie.header(), "do", "expire")
	at := a.now().Add(killIdle)
	switch {
	case !known, v.Word == "conflict":
		a.dispose(s)
	case v.Word == "missing", v.Word == "gone":
		a.surprised(s)
	case v.Word != "ok":
		a.puzzled("expire", v)
	default:
		a.count.expired.Add(1)
		a.session = nil
		a.logOut(s)
		a.expectEnd(s, &a.expiries, at, n, bridge.CodeExpired, bridge.CodeDestroyed)
	}
}
