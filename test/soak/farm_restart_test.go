package soak_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

const restartSessions = 24 // each with a socket at every node

// TestSoakRestartsOfRedis: Redis is killed while sessions are being ended, and restarts with all
// acknowledged changes. Then every socket of an ended session is closed, at each of three nodes,
// even if none of them could be notified; all others stay open. Two times; with SOAK set 15, in
// some of which Redis is away for longer than nodes rely on what they know.
func TestSoakRestartsOfRedis(t *testing.T) { restartServer(t, onRedis(t, farmDurable...)) }

// TestSoakRestartsOfPostgres is TestSoakRestartsOfRedis with PostgreSQL.
func TestSoakRestartsOfPostgres(t *testing.T) { restartServer(t, onPostgres(t)) }

func restartServer(t *testing.T, server farmServer) {
	t.Helper()
	besideOthers(t)
	rounds, away := 2, 500*time.Millisecond
	soak := os.Getenv("SOAK") != ""
	if soak {
		rounds, away = 15, 8*time.Second
	}
	k := startKilling(t, server)
	t.Cleanup(func() {
		k.leaveAll()
		k.judging.Wait()
		k.listening.Wait()
	})
	var r restarts
	for i := range rounds {
		r.round(k, away*time.Duration(i+1)/time.Duration(rounds), i%2 == 0)
	}
	k.leaveAll()
	k.listening.Wait()
	k.stopAll(soak)
	t.Logf("the server killed %d times, away for %v at most; %d sessions ended, of which %d without an answer, %d of these were there afterwards; %d sockets whose node hadn't been told of the end that was answered; %d sessions lived on",
		rounds, away, r.ended, r.unknown, r.there, r.untold, r.lived)
	t.Logf("from the return of the server, or from an answer after that, to the end of a socket: %v", &r.late)
	t.Logf("from an answer to the end of a socket when all was well again: %v", &k.ends)
	require.Less(t, r.late.worst(), killPromise)
	require.Less(t, k.ends.worst(), killPromise)
	require.Positive(t, r.untold, "every node had been told before")
	require.Positive(t, r.unknown, "no end was under way when Redis was killed")
	require.Greater(t, r.ended, r.unknown)
}

// restarts counts what has happened.
type restarts struct {
	ended, unknown, there, lived int
	untold                       int // sockets that were open at the kill although their session's end was answered
	late                         killDelays
}

// restartEnd is an end of a session that may not have reached Redis.
type restartEnd struct {
	actor *killActor
	s     *killSession
	node  *killNode
	known bool
	at    time.Time
}

// round kills Redis once. untold: only the node that has answered an end before is notified of it.
func (r *restarts) round(k *killing, away time.Duration, untold bool) {
	k.t.Helper()
	at := k.pick(k.random)
	var doomed []*restartEnd
	var others []*killActor
	for i := range restartSessions {
		a := k.newcomer(i)
		if i%2 == 0 {
			doomed = append(doomed, &restartEnd{actor: a, s: a.session, node: at})
		} else {
			others = append(others, a)
		}
	}
	for _, n := range k.living() {
		if untold && n != at {
			n.proxy.Stall()
			defer n.proxy.Resume()
		}
	}
	var ending sync.WaitGroup
	first, some, killing := 1+k.random.IntN(len(doomed)/2), make(chan struct{}), make(chan struct{})
	ending.Go(func() {
		for i, e := range doomed[:first] {
			e.end(i)
		}
		close(some)
		<-killing
		for i, e := range doomed[first:] {
			e.node = k.pick(e.actor.random)
			ending.Go(func() { e.end(i) })
		}
	})
	<-some
	close(killing) // the other ends are under way now
	<-time.After(time.Duration(k.random.IntN(4)) * time.Millisecond)
	k.server.Kill()
	for _, e := range doomed[:first] {
		for _, socket := range e.s.all() {
			if socket.isOpen() && socket.node != at {
				r.untold++
			}
		}
	}
	for _, n := range k.living() {
		n.proxy.Resume()
	}
	<-time.After(away)
	k.server.Restart()
	back := k.now()
	ending.Wait()
	k.settleAll()

	r.ended += len(doomed)
	for _, e := range doomed {
		if !e.known {
			r.unknown++
			err := answered(func() error { _, err := k.direct.GetByID(k.t.Context(), e.s.id); return err })
			if !errors.Is(err, bridge.ErrSessionMissing) {
				require.NoError(k.t, err)
				r.there++
				require.NoError(k.t, answered(func() error { _, err := k.direct.DestroyByID(k.t.Context(), e.s.id); return err }))
			}
			e.at, e.node = k.now(), nil
		}
		if e.at.Before(back) {
			e.at = back
		}
		k.expectEnd(e.s, &r.late, e.at, e.node, bridge.CodeDestroyed)
	}
	k.judging.Wait()
	for _, a := range others {
		r.lived++
		a.goesOn()
		a.logout(a.session)
	}
	k.judging.Wait()
}

// answered repeats ask until Redis answers: on a busy machine it may still be loading its data.
func answered(ask func() error) (err error) {
	for late := time.Now().Add(await.Limit); time.Now().Before(late); {
		if err = ask(); !errors.Is(err, bridge.ErrStoreUnavailable) {
			return err
		}
	}
	return err
}

// newcomer has a session and a socket at each node; some are logged in.
func (k *killing) newcomer(i int) *killActor {
	k.t.Helper()
	a := &killActor{killing: k, number: i, random: rand.New(rand.NewPCG(k.random.Uint64(), uint64(i)))} //nolint:gosec // few
	nodes := k.living()
	require.True(k.t, a.beginAt(nodes[i%len(nodes)], ""))
	if i%4 == 0 {
		a.loginAs(a.session, &killUser{name: fmt.Sprint("user", k.fresh.Add(1)), logged: map[*killSession]int64{}})
	}
	for _, n := range nodes {
		a.dialAt(n, a.session)
	}
	require.Len(k.t, a.opened(a.session), len(nodes))
	return a
}

// end ends the session in one of several ways.
func (e *restartEnd) end(i int) {
	var v farmView
	switch {
	case e.s.user != nil:
		v, _, e.known = e.actor.request(e.node, "", "do", "destroy user", "of", e.s.user.name)
	case i%2 == 0:
		v, _, e.known = e.actor.request(e.node, e.s.cookie.header(), "do", "destroy")
	default:
		v, _, e.known = e.actor.request(e.node, "", "do", "destroy session", "of", e.s.id)
	}
	e.at = e.actor.now()
	if e.known && v.Word != "ok" {
		e.actor.puzzled("end", v)
	}
}

// goesOn checks that the session exists, at each of its sockets, with its values.
func (a *killActor) goesOn() {
	a.t.Helper()
	s, open := a.session, a.opened(a.session)
	require.Len(a.t, open, len(a.living()), "it has lost a socket")
	for _, socket := range open {
		v, ok := socket.ask("increment")
		s.sure++
		require.True(a.t, ok, "it has lost a socket")
		require.Equal(a.t, farmView{Word: "ok", ID: s.id, farmValues: farmValues{N: s.sure, User: v.User}}, v)
	}
}

// settleAll waits until every node hears the others again.
func (k *killing) settleAll() {
	k.t.Helper()
	require.Eventually(k.t, func() bool {
		for _, n := range k.living() {
			for _, what := range []string{"ping", "conns"} {
				if v, _, err := k.ask(n.farmNode, "", map[string][]string{"do": {what}}); err != nil || v.Word != "ok" {
					return false
				}
			}
		}
		return k.direct.Ping(k.t.Context()) == nil && len(k.names()) == farmNodes+1
	}, await.Limit, 20*time.Millisecond, "a node without the others")
}
