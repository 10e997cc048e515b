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

// results are the samples of a group, one per round. The nth of both sides were taken right after one another.
type results struct {
	ours, peer []sample
}

// play measures the sides of a group in turn, and lets them check what they have done.
func (p plan) play(g *group) (res results, err error) {
	fmt.Fprint(p.progress, g.name, " ")
	defer fmt.Fprintln(p.progress)
	ours, err := g.ours.open()
	if err != nil {
		return res, fmt.Errorf("%s: %s: %w", g.name, g.ours.name, err)
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	var peer *subject
	if g.peer.open != nil {
		if peer, err = g.peer.open(); err != nil {
			return res, fmt.Errorf("%s: %s: %w", g.name, g.peer.name, err)
		}
		defer func() { err = errors.Join(err, peer.close()) }()
	}
	rounds := p.rounds
	if g.rounds > 0 {
		rounds = min(rounds, g.rounds)
	}
	for i := range rounds {
		fmt.Fprint(p.progress, ".")
		// Whoever goes second finds warmer caches and a hotter machine: the sides change places.
		turns := []func() error{
			func() error { return p.take(ours, &res.ours) },
			func() error { return p.take(peer, &res.peer) },
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return res, fmt.Errorf("%s: %w", g.name, err)
			}
		}
	}
	for _, s := range []*subject{ours, peer} {
		if s == nil || s.check == nil {
			continue
		}
		if err := s.check(s.ran); err != nil {
			return res, fmt.Errorf("%s: it doesn't do what it claims: %w", g.name, err)
		}
	}
	return res, nil
}

// take adds one sample of s to the list.
func (p plan) take(s *subject, list *[]sample) (err error) {
	if s == nil {
		return nil
	}
	var got sample
	if s.measure != nil {
		got, err = s.measure(p.quick)
	} else {
		got, err = s.timed(p.piece)
	}
	*list = append(*list, got)
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
	start := time.Now()
	err := s.run(s.pace)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	s.ran += s.pace
	n := float64(s.pace)
	return sample{
		nsPerOp:     float64(took.Nanoseconds()) / n,
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

// outcome sums a row's rounds up.
func (r results) outcome(m metric) outcome {
	o := outcome{metric: m, ours: medians(r.ours)}
	if len(r.peer) == 0 {
		return o
	}
	o.peer = medians(r.peer)
	var ratios, extras []float64
	for i := range r.ours {
		ratios = append(ratios, m.ratio(r.ours[i][m], r.peer[i][m]))
		extras = append(extras, r.ours[i][m]-r.peer[i][m])
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
