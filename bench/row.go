package main

import "slices"

// metric names what a sample holds, as in the output of Go's benchmarks.
type metric string

const (
	nsPerOp       metric = "ns/op"
	cpuPerOp      metric = "cpu-ns/op"
	bytesPerOp    metric = "B/op"
	allocsPerOp   metric = "allocs/op"
	allocsPerConn metric = "allocs/conn"
	perSecond     metric = "ops/s"
	bytesPerConn  metric = "B/conn"
	perConn       metric = "goroutines/conn"
	bytesPerEntry metric = "B/session"
	bytesTidied   metric = "B/session-optimized"
	bytesIdle     metric = "B-idle"
	bytesPeak     metric = "B-peak"
	totalNs       metric = "total-ns"
	p50Ns         metric = "p50-ns"
	p99Ns         metric = "p99-ns"
	p99ByP50      metric = "p99/p50"
	p999Ns        metric = "p99.9-ns"
	longestNs     metric = "longest-ns"
)

// sample is the outcome of one round on one side.
type sample map[metric]float64

// group is one measurement of two sides that take turns, and the rows that are read off it.
type group struct {
	name   string
	ours   side
	peer   side // without open: there is none
	rows   []row
	rivals []rival
	rounds int // at most; 0: as many as asked for
	turns  int // of each side in a round; 0: one. Many show a difference that is small beside what is measured

	onRequest bool // it takes long: it is measured only if rows are asked for

	fixture fixture // what its subjects are built on, shared with the groups next to it; nil: nothing
}

// rival is a further peer, which takes its turn in the same rounds, and the rows that compare ours
// with it.
type rival struct {
	peer   side
	rows   []row
	rounds int // at most; 0: as many as the group
}

// row is one line of the table.
type row struct {
	name   string // "" for a group of one row
	metric metric
	target target
}

// side is what is measured.
type side struct {
	name string
	open func() (*subject, error)
}

// subject is a side that is ready to be measured. Either run or measure is set.
type subject struct {
	// run does the operation n times; it is timed by the caller.
	run func(n int) error
	// measure takes as long as it takes, less if quick.
	measure func(quick bool) (sample, error)
	// check says what is wrong if what n operations should have left behind isn't there. It is for
	// subjects with run.
	check func(n int) error
	// close frees everything, and returns what went wrong unnoticed.
	close func() error

	pace int // operations per round, found by the first round
	ran  int // operations so far
}

// groups lists everything that is compared, in the order of the table.
func groups() []group {
	return slices.Concat(
		middlewareGroups(),
		visitorGroups(),
		inProcessGroups(),
		roundTripGroups(),
		serverGroups(),
		adminGroups(),
		memoryGroups(),
		storeGroups(),
		growthGroups(),
		sweepGroups(),
		userGroups(),
		sealedGroups(),
		durableGroups(),
		millionGroups(),
		crowdGroups(),
		redisGroups(),
		postgresGroups(),
		choosingGroups(),
		restGroups(),
		nodesGroups(),
	)
}

// rivalries returns all that ours is compared with in the group. A group without a peer has one,
// without a side.
func (g *group) rivalries() []rival {
	return append([]rival{{peer: g.peer, rows: g.rows}}, g.rivals...)
}

// sides returns all that is measured in the group, ours first.
func (g *group) sides() []side {
	all := []side{g.ours}
	for _, v := range g.rivalries() {
		if v.peer.open != nil {
			all = append(all, v.peer)
		}
	}
	return all
}

// title is what the row is called and found by.
func (g *group) title(r row) string {
	if r.name == "" {
		return g.name
	}
	return g.name + ": " + r.name
}
