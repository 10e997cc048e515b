package main

import (
	"fmt"
	"time"
)

const (
	redisWidth = 64 // operations under way at a time
	perUser    = 5  // sessions of each user

	oursName = "ours"
	peerName = "redis-sessions"
)

// What the rows of one round are read off.
const (
	createRate  metric = "create/s"
	getRate     metric = "get/s"
	setRate     metric = "set/s"
	destroyRate metric = "destroy/s"
	getAlone    metric = "get-ns"
	setAlone    metric = "set-ns"

	activeTime     metric = "active-ns"
	latelyTime     metric = "lately-ns"
	destroyAllTime metric = "destroy-all-ns"

	createTrips  metric = "create-trips"
	getTrips     metric = "get-trips"
	setTrips     metric = "set-trips"
	destroyTrips metric = "destroy-trips"
)

// redisGroups compare the stores in Redis, on a server that both use in turn.
func redisGroups() []group {
	a := &redisArena{}
	against := func(name string, measure func(*redisRound) sample, rows ...row) group {
		return group{
			name: "redis/" + name, ours: a.side(oursName, measure), peer: a.side(peerName, measure),
			rows: rows, rounds: 5, fixture: a,
		}
	}
	return []group{
		against("64 in flight", life,
			row{"create", createRate, timesBetter(1.3)},
			row{"get", getRate, timesBetter(4)},
			row{"set", setRate, timesBetter(2.6)},
			row{"destroy", destroyRate, timesBetter(2.8)},
			row{"memory of 300 B", bytesPerEntry, atMostBytes(900)},
			row{"get, 1 in flight", getAlone, target{}},
			row{"set, 1 in flight", setAlone, target{}}),
		against("cached get", cachedGets, row{"", perSecond, moreThan(1_000_000)}),
		against("sessions of a user with 5", ofUsers, row{"", perSecond, timesBetter(2.5)}),
		against("10k sessions", questionsAboutAll,
			row{"users active lately", activeTime, under(500 * time.Microsecond)},
			row{"active lately", latelyTime, timesBetter(3)},
			row{"destroy all", destroyAllTime, timesBetter(1.5)}),
		against("sweep of 10k", sweepAll, row{"", totalNs, timesBetter(5)}),
		{
			name: "redis/round trips", ours: a.side(oursName, roundTrips), rounds: 1, fixture: a,
			rows: []row{
				{"create", createTrips, exactly(1)},
				{"get", getTrips, exactly(1)},
				{"set", setTrips, exactly(1)},
				{"destroy", destroyTrips, exactly(1)},
			},
		},
	}
}

// life creates sessions, uses and destroys them.
func life(r *redisRound) sample {
	n, alone := r.sessions, r.sessions/5
	before := r.memory()
	got := sample{createRate: r.rate("create", n, 1)}
	got[bytesPerEntry] = (r.memory() - before) / float64(n)
	got[getRate] = r.rate("get", 4*n, 1)
	got[setRate] = r.rate("set", n, 1)
	got[getAlone] = r.took("get", alone, 1, alone) / float64(alone)
	got[setAlone] = r.took("set", alone, 1, alone) / float64(alone)
	got[destroyRate] = r.rate("destroy", n, 1)
	return got
}

// cachedGets reads sessions that have been read before, and that nobody has changed since.
func cachedGets(r *redisRound) sample {
	r.rate("create", r.sessions, 1)
	return sample{perSecond: r.rate("cached", 100*r.sessions, 1)}
}

func ofUsers(r *redisRound) sample {
	r.rate("create", r.sessions, 1)
	return sample{perSecond: r.rate("user", r.sessions, perUser)}
}

func questionsAboutAll(r *redisRound) sample {
	const times = 5
	n := r.sessions
	r.rate("create", n, 1)
	return sample{
		activeTime:     r.took("active", times, 1, times*n/perUser) / times,
		latelyTime:     r.took("lately", times, 1, times*n) / times,
		destroyAllTime: r.took("destroy all", 1, 1, n),
	}
}

func sweepAll(r *redisRound) sample {
	r.rate("create", r.sessions, 1)
	return sample{totalNs: r.took("sweep", 1, 1, r.sessions)}
}

// roundTrips counts what the store sends for one operation, by what Redis says of its commands:
// those that run scripts, each of which is sent alone, or else all.
func roundTrips(r *redisRound) sample {
	n, got := r.sessions, sample{}
	r.rate("create", n, 1) // so that the server knows the scripts
	for _, op := range []struct {
		name   string
		metric metric
	}{{"destroy", destroyTrips}, {"create", createTrips}, {"get", getTrips}, {"set", setTrips}} {
		if _, err := r.server.calls(); err != nil && r.err == nil {
			r.err = err
		}
		r.rate(op.name, n, 1)
		calls, err := r.server.calls()
		if err != nil && r.err == nil {
			r.err = err
		}
		trips := calls["evalsha"] + calls["eval"]
		if trips == 0 {
			for command, times := range calls {
				if command != "ping" && command != "config|resetstat" && command != "info" {
					trips += times
				}
			}
		}
		got[op.metric] = float64(trips) / float64(n)
	}
	r.rate("destroy", n, 1)
	if r.err != nil {
		r.err = fmt.Errorf("counting round trips: %w", r.err)
	}
	return got
}
