package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// table collects lines and prints them in columns.
type table struct {
	lines [][]string
}

func newTable() *table {
	return &table{lines: [][]string{{"row", "ours", "peer", "ratio", "target", "met"}}}
}

// add appends the line of a row that compares ours with the peer.
func (t *table) add(g *group, peer string, r row, o outcome) {
	if o.absent != "" {
		t.lines = append(t.lines, []string{g.title(r), o.absent, "–", "–", r.target.text, "–"})
		return
	}
	line := []string{g.title(r), cell(o.ours, r.metric), "–", "–", "–", "–"}
	if o.peerAbsent != "" {
		line[2] = peer + ": " + o.peerAbsent
	}
	if o.peer != nil {
		line[2] = cell(o.peer, r.metric) + " " + peer
		line[3] = fmt.Sprintf("%.2f×", o.ratio)
		if strings.HasSuffix(r.target.text, "more") {
			line[3] = fmt.Sprintf("%+v", time.Duration(o.extra).Round(time.Nanosecond))
			if o.extra >= 0 {
				line[3] = "+" + line[3]
			}
		}
	}
	if r.target.met != nil && o.peerAbsent != "" {
		line[4] = r.target.text // it takes both to be met
	} else if r.target.met != nil {
		line[4], line[5] = r.target.text, "yes"
		if !r.target.met(o) {
			line[5] = "NO"
		}
	}
	t.lines = append(t.lines, line)
}

func (t *table) print(w io.Writer) {
	widths := make([]int, len(t.lines[0]))
	for _, line := range t.lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, line := range t.lines {
		fmt.Fprintln(w, strings.TrimRight(pad(line, widths, " "), " "))
		if n == 0 {
			fmt.Fprintln(w, pad(make([]string, len(line)), widths, "-"))
		}
	}
}

func pad(line []string, widths []int, with string) string {
	var b strings.Builder
	for i, c := range line {
		b.WriteString(c + strings.Repeat(with, widths[i]-utf8.RuneCountInString(c)) + "  ")
	}
	return b.String()
}

// cell shows one figure, and what an operation allocates beside its time.
func cell(s sample, m metric) string {
	v := s[m]
	switch m {
	case nsPerOp:
		return fmt.Sprintf("%s %s %.0fa", duration(v), size(s[bytesPerOp]), s[allocsPerOp])
	case totalNs, p99Ns, p999Ns, longestNs:
		return duration(v)
	case bytesPerConn, bytesIdle, bytesPeak, bytesPerOp:
		return size(v)
	case bytesPerEntry, bytesTidied:
		return fmt.Sprintf("%.0fB", v)
	case perSecond:
		return fmt.Sprintf("%.0f/s", v)
	}
	switch {
	case m.moreIsBetter():
		return fmt.Sprintf("%.0f/s", v)
	case strings.HasSuffix(string(m), "-ns"):
		return duration(v)
	}
	return fmt.Sprintf("%.2f", v)
}

func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.0fns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.2fµs", ns/1e3)
	}
	return fmt.Sprintf("%.2fms", ns/1e6)
}

func size(bytes float64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%.0fB", bytes)
	}
	if bytes < 1<<20 {
		return fmt.Sprintf("%.1fKiB", bytes/(1<<10))
	}
	return fmt.Sprintf("%.1fMiB", bytes/(1<<20))
}
