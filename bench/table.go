package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// printTable prints the results in columns.
func printTable(w io.Writer, all []result) {
	lines := [][]string{{"row", "ours", "peer", "ratio", "target", "met"}}
	for i := range all {
		lines = append(lines, all[i].cells())
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, line := range lines {
		fmt.Fprintln(w, strings.TrimRight(pad(line, widths, " "), " "))
		if n == 0 {
			fmt.Fprintln(w, pad(make([]string, len(line)), widths, "-"))
		}
	}
}

// cells returns what the columns of the table show of the result.
func (r *result) cells() []string {
	none := "–"
	line := []string{r.Row, r.Ours.cell(r.Metric), none, none, none, none}
	if p := r.Peer; p != nil && p.Absent != "" {
		line[2] = p.Name + ": " + p.Absent
	} else if p != nil {
		line[2] = p.cell(r.Metric) + " " + p.Name
		line[3] = fmt.Sprintf("%.2f×", r.Ratio)
		if strings.HasSuffix(r.Target, "more") {
			line[3] = fmt.Sprintf("%+.0fns", r.Extra)
			if math.Abs(r.Extra) >= 1e3 {
				line[3] = fmt.Sprintf("%+.2fµs", r.Extra/1e3)
			}
		}
	}
	if r.Target != "" {
		line[4] = r.Target
	}
	if r.Met != nil {
		line[5] = map[bool]string{true: "yes", false: "NO"}[*r.Met]
	}
	return line
}

// cell shows the figure of a side, or why there is none.
func (f *figures) cell(m metric) string {
	if f.Absent != "" {
		return f.Absent
	}
	return cell(f.Median, m)
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
		text := fmt.Sprintf("%s %s %.0fa", duration(v), size(s[bytesPerOp]), s[allocsPerOp])
		if cpu := s[cpuPerOp]; cpu > 0 {
			text += " " + duration(cpu) + "-cpu"
		}
		return text
	case cpuPerOp:
		return fmt.Sprintf("%s-cpu %.0fa", duration(v), s[allocsPerOp])
	case totalNs, p50Ns, p99Ns, p999Ns, longestNs:
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
