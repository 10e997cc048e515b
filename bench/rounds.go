package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"time"
)

// plan is how thoroughly is measured.
type plan struct {
	rounds   int
	piece    time.Duration // of one side in one round, for timed operations
	quick    bool
	progress io.Writer
}

// results are the samples of a group, one per round. The nth of all sides were taken right after
// one another.
type results struct {
	ours  []sample
	peers [][]sample // by rivalry; a peer may have sat out the later rounds

	absent      string   // why ours can't be measured here
	peersAbsent []string // by rivalry, likewise
}

// contender is a subject in the rounds.
type contender struct {
	*subject
	rounds int
	got    *[]sample
}

// play measures the sides of a group in turn, and lets them check what they have done.
func (p plan) play(g *group) (res results, err error) {
	fmt.Fprint(p.progress, g.name, " ")
	defer fmt.Fprintln(p.progress)
	g.prepare(p.quick, p.progress)
	var all []contender
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.close())
		}
	}()
	enter := func(s side, rounds int, got *[]sample) error {
		opened, err := s.open()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", g.name, s.name, err)
		}
		all = append(all, contender{opened, rounds, got})
		return nil
	}
	turns := max(1, g.turns)
	if p.quick {
		turns = 1
	}
	rounds := turns * atMost(p.rounds, g.rounds)
	if err := enter(g.ours, rounds, &res.ours); err != nil {
		if res.absent = absence(err); res.absent != "" {
			return res, nil
		}
		return res, err
	}
	rivalries := g.rivalries()
	res.peers, res.peersAbsent = make([][]sample, len(rivalries)), make([]string, len(rivalries))
	for i, v := range rivalries {
		if v.peer.open == nil {
			continue
		}
		if err := enter(v.peer, atMost(rounds, v.rounds), &res.peers[i]); err != nil {
			if res.peersAbsent[i] = absence(err); res.peersAbsent[i] != "" {
				continue
			}
			return res, err
		}
	}
	for i := range rounds {
		if i%turns == 0 {
			fmt.Fprint(p.progress, ".")
		}
		// Whoever goes later finds warmer caches and a hotter machine: the sides change places.
		order := slices.Clone(all)
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			if i >= c.rounds {
				continue
			}
			if err := p.take(c); err != nil {
				return res, fmt.Errorf("%s: %w", g.name, err)
			}
		}
	}
	for _, c := range all {
		if c.check == nil {
			continue
		}
		if err := c.check(c.ran); err != nil {
			return res, fmt.Errorf("%s: it doesn't do what it claims: %w", g.name, err)
		}
	}
	return res, nil
}

// atMost returns n or the limit, whichever is less. A limit of 0 is none.
func atMost(n, limit int) int {
	if limit > 0 {
		return min(n, limit)
	}
	return n
}

// take adds one sample to what the contender has got.
func (p plan) take(c contender) (err error) {
	var got sample
	if c.measure != nil {
		got, err = c.measure(p.quick)
	} else {
		got, err = c.timed(p.piece)
	}
	*c.got = append(*c.got, got)
	return err
}

// timed runs the operation for about the time given and returns what one of them took.
func (s *subject) timed(piece time.Duration) (sample, error) {
	if s.pace == 0 {
		if err := s.findPace(piece); err != nil {
			return nil, err
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, used := time.Now(), cpuTime()
	err := s.run(s.pace)
	took, cpu := time.Since(start), cpuTime()-used
	runtime.ReadMemStats(&after)
	s.ran += s.pace
	n := float64(s.pace)
	return sample{
		nsPerOp:     float64(took.Nanoseconds()) / n,
		cpuPerOp:    float64(cpu.Nanoseconds()) / n,
		bytesPerOp:  float64(after.TotalAlloc-before.TotalAlloc) / n,
		allocsPerOp: float64(after.Mallocs-before.Mallocs) / n,
		perSecond:   n / took.Seconds(),
	}, err
}

// findPace finds how many operations fill the time, which warms everything up, too.
func (s *subject) findPace(piece time.Duration) error {
	for n := 64; ; n *= 4 {
		start := time.Now()
		if err := s.run(n); err != nil {
			return err
		}
		s.ran += n
		if took := time.Since(start); took >= piece/8 {
			s.pace = max(1, int(float64(n)*float64(piece)/float64(took)))
			return nil
		}
	}
}

// outcome sums up a row that compares ours with the peer of the nth rivalry.
func (r *results) outcome(n int, m metric) outcome {
	o := outcome{metric: m, absent: r.absent}
	if o.absent != "" {
		return o
	}
	o.ours = medians(r.ours)
	if n < len(r.peersAbsent) {
		o.peerAbsent = r.peersAbsent[n]
	}
	if len(r.peers) <= n || len(r.peers[n]) == 0 {
		return o
	}
	peer := r.peers[n]
	o.peer = medians(peer)
	var ratios, extras []float64
	for i := range peer {
		ratios = append(ratios, m.ratio(r.ours[i][m], peer[i][m]))
		extras = append(extras, r.ours[i][m]-peer[i][m])
	}
	o.ratio, o.extra = median(ratios), median(extras)
	return o
}

func medians(samples []sample) sample {
	out := make(sample)
	for m := range maps.Keys(samples[0]) {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = s[m]
		}
		out[m] = median(values)
	}
	return out
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
