package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"time"
)

const (
	revokingNodes   = 3
	revokingSockets = 1_000 // at each node
	revokingOfOne   = 300   // sessions that are destroyed one after the other; the others together

	togetherNs    metric = "together-ns"
	toldPerNode   metric = "messages/node"
	nodesSessions        = 200 // with a socket, at each node
)

func nodesGroups() []group {
	flat := target{"≥ 0.9×", func(o outcome) bool { return o.ratio >= 0.9 }}
	fleets := func(name string, anywhere bool, t target) group {
		side := func(n int) side {
			return side{fmt.Sprintf("%d nodes", n), func() (*subject, error) {
				return &subject{
					measure: func(quick bool) (sample, error) { return toldNodes(n, quick, anywhere) },
					close:   func() error { return nil },
				}, nil
			}}
		}
		return group{
			name: "nodes/messages per node, " + name, rounds: 1,
			ours: side(8), peer: side(2), rows: []row{{"8 and 2", toldPerNode, t}},
			rivals: []rival{{peer: side(4), rows: []row{{"8 and 4", toldPerNode, t}}}},
		}
	}
	revocation := func(name string, start func() (nodeServer, error)) group {
		return group{
			name: name, rounds: 3,
			ours: side{"ours", func() (*subject, error) {
				return &subject{
					measure: func(quick bool) (sample, error) { return revoked(start, quick) },
					close:   func() error { return nil },
				}, nil
			}},
			rows: []row{
				{"a session, until the last of its 3 is closed: p50", p50Ns, target{}},
				{"p99", p99Ns, under(50 * time.Millisecond)},
				{"700 sessions of a user, until the last of 2,100 is closed", togetherNs, target{}},
			},
		}
	}
	return []group{
		revocation("nodes/revocation at 3 with 1,000 sockets each", redisForNodes),
		revocation("nodes/revocation at 3 with 1,000 sockets each, PostgreSQL", postgresForNodes),
		fleets("each client at one", false, flat),
		fleets("requests anywhere", true, target{}),
	}
}

// revoked has sessions with a socket at each of the nodes, and destroys them: some one after the
// other, the others together.
func revoked(on func() (nodeServer, error), quick bool) (got sample, err error) {
	sessions, alone := revokingSockets, revokingOfOne
	if quick {
		sessions, alone = sessions/20, alone/20
	}
	f, err := startFleet(on, revokingNodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	cookies, err := f.visitors(sessions, "/login")
	if err != nil {
		return nil, err
	}
	for _, n := range f.nodes {
		if err := n.gather(cookies); err != nil {
			return nil, err
		}
	}
	times := make([]time.Duration, 0, alone)
	for i := range alone {
		start := time.Now()
		if _, err := f.nodes[i%len(f.nodes)].ask("/logout", cookies[i]); err != nil {
			return nil, err
		}
		last, err := f.lastClosed(i + 1)
		if err != nil {
			return nil, err
		}
		times = append(times, last.Sub(start))
	}
	start := time.Now()
	n, err := f.nodes[0].b.DestroyUser(context.Background(), crowdUser)
	if err == nil && n != sessions-alone {
		err = fmt.Errorf("%d sessions were ended instead of %d", n, sessions-alone)
	}
	if err != nil {
		return nil, err
	}
	last, err := f.lastClosed(sessions)
	return sample{p50Ns: percentile(times, 50), p99Ns: percentile(times, 99), togetherNs: float64(last.Sub(start))}, err
}

// lastClosed returns when so many sockets had been closed at each of the nodes.
func (f *fleet) lastClosed(n int) (last time.Time, err error) {
	for _, node := range f.nodes {
		at, err := node.hall.child.heard("closes", n)
		if err != nil {
			return last, err
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

// toldNodes returns how many messages of others each of n nodes gets while every session of a
// socket there is changed eight times, logged in to, and ended from another node. The requests of a
// client come to the node of its socket, or anywhere.
func toldNodes(n int, quick, anywhere bool) (got sample, err error) {
	each := nodesSessions
	if quick {
		each /= 20
	}
	f, err := startFleet(redisForNodes, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	total := n * each
	cookies := make([]string, total)
	home := func(i int) *benchNode { return f.nodes[i/each] }
	node := func(i int) *benchNode {
		if anywhere {
			return f.nodes[rand.IntN(n)]
		}
		return home(i)
	}
	if err := atATime(
		total,
		func(i int) (err error) { cookies[i], err = node(i).ask("/set", ""); return err },
	); err != nil {
		return nil, err
	}
	for i, at := range f.nodes {
		if err := at.gather(cookies[i*each : (i+1)*each]); err != nil {
			return nil, err
		}
	}
	err = atATime(total, func(i int) error {
		for range 8 {
			if _, err := node(i).ask("/set", cookies[i]); err != nil {
				return err
			}
		}
		id, err := home(i).session(cookies[i])
		if err != nil {
			return err
		}
		if _, err := node(i).ask("/login", cookies[i]); err != nil {
			return err
		}
		_, err = f.nodes[(i/each+1)%n].b.DestroyByID(context.Background(), id)
		return err
	})
	if err != nil {
		return nil, err
	}
	told := int64(-1)
	settled := func() bool { // nothing more has come for a while
		was := told
		told = 0
		for _, n := range f.nodes {
			told += n.told.Load()
		}
		time.Sleep(300 * time.Millisecond)
		return told == was
	}
	if err := eventually(settled); err != nil {
		return nil, err
	}
	return sample{toldPerNode: float64(told) / float64(n)}, nil
}

// session returns the ID of the session that the cookies open.
func (n *benchNode) session(cookies string) (id string, err error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://bench.test/", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Cookie", cookies)
	n.b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, failed := n.b.Session(r)
		if err = failed; err == nil {
			id = s.ID()
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	return id, err
}
