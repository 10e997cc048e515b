package main

import (
	"fmt"
	"strings"
	"time"
)

// target is what a row is to reach. The zero value is none.
type target struct {
	text string
	met  func(o outcome) bool
}

// outcome is what a row has come to: medians over the rounds.
type outcome struct {
	metric     metric
	ours, peer sample // peer nil: there is none
	ratio      float64
	extra      float64 // how much more ours is

	absent, peerAbsent string // why there are no figures; "": there are
}

// timesBetter wants a ratio of at least n.
func timesBetter(n float64) target {
	return target{fmt.Sprintf("≥ %g×", n), func(o outcome) bool { return o.ratio >= n }}
}

// under wants a time below d.
func under(d time.Duration) target {
	return target{fmt.Sprintf("< %v", d), func(o outcome) bool { return o.ours[o.metric] < float64(d) }}
}

// moreThan wants a rate above n.
func moreThan(n float64) target {
	return target{fmt.Sprintf("> %.0f/s", n), func(o outcome) bool { return o.ours[o.metric] > n }}
}

// underWhere wants a time below d, on a machine where the peer's is below least.
func underWhere(d, least time.Duration) target {
	return target{fmt.Sprintf("< %v where the peer's < %v", d, least), func(o outcome) bool {
		return o.ours[o.metric] < float64(d) || o.peer[o.metric] >= float64(least)
	}}
}

// atMostBytes wants a size of at most n.
func atMostBytes(n float64) target {
	text := size(n)
	if n < 10<<10 {
		text = fmt.Sprintf("%.0fB", n)
	}
	return target{"≤ " + text, func(o outcome) bool { return o.ours[o.metric] <= n }}
}

// atMostTimes wants a multiple of at most n.
func atMostTimes(n float64) target {
	return target{fmt.Sprintf("≤ ×%g", n), func(o outcome) bool { return o.ours[o.metric] <= n }}
}

// atLeastShare wants a share of at least n.
func atLeastShare(n float64) target {
	return target{fmt.Sprintf("≥ %g%%", 100*n), func(o outcome) bool { return o.ours[o.metric] >= n }}
}

// extraUnder wants a time that is less than d above the peer's.
func extraUnder(d time.Duration) target {
	return target{fmt.Sprintf("< %v more", d), func(o outcome) bool { return o.extra < float64(d) }}
}

// allocsAtMost wants at most n allocations per operation.
func allocsAtMost(n float64) target {
	return target{fmt.Sprintf("≤ %g allocs", n), func(o outcome) bool { return o.ours[allocsPerOp] <= n }}
}

// extraAllocsAtMost wants at most n allocations per operation more than the peer has, to within
// those of other goroutines.
func extraAllocsAtMost(n float64) target {
	return target{fmt.Sprintf("≤ %g allocs more", n), func(o outcome) bool {
		return o.ours[allocsPerOp]-o.peer[allocsPerOp] < n+0.1
	}}
}

// exactly wants n, to within rounding.
func exactly(n float64) target {
	return target{fmt.Sprintf("= %g", n), func(o outcome) bool {
		v := o.ours[o.metric]
		return v > n-0.05 && v < n+0.05
	}}
}

// noMoreThan wants a figure of at most n.
func noMoreThan(n float64) target {
	return target{fmt.Sprintf("≤ %g", n), func(o outcome) bool { return o.ours[o.metric] <= n }}
}

// every wants all of them.
func every(targets ...target) target {
	texts := make([]string, len(targets))
	for i, t := range targets {
		texts[i] = t.text
	}
	return target{strings.Join(texts, ", "), func(o outcome) bool {
		for _, t := range targets {
			if !t.met(o) {
				return false
			}
		}
		return true
	}}
}

// moreIsBetter reports whether a higher figure is the better one.
func (m metric) moreIsBetter() bool { return strings.HasSuffix(string(m), "/s") }

// ratio says how many times better ours is.
func (m metric) ratio(ours, peer float64) float64 {
	if m.moreIsBetter() {
		return ours / peer
	}
	return peer / ours
}
