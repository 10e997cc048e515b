package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is what one run has measured, and where.
type report struct {
	Date       time.Time `json:"date"`
	Go         string    `json:"go"`
	OS         string    `json:"os"`
	CPU        string    `json:"cpu"`
	Processors int       `json:"processors"`
	Rounds     int       `json:"rounds"`
	Rows       []result  `json:"rows"`
}

// result is a row with what it has come to.
type result struct {
	Row    string   `json:"row"`
	Metric metric   `json:"metric"`
	Ours   figures  `json:"ours"`
	Peer   *figures `json:"peer,omitempty"` // nil: there is none
	Ratio  float64  `json:"ratio,omitempty"`
	Extra  float64  `json:"extra,omitempty"` // how much more ours is
	Target string   `json:"target,omitempty"`
	Met    *bool    `json:"met,omitempty"` // nil: there is no target, or a side is absent
}

// figures are those of one side of a row: its rounds, and their medians.
type figures struct {
	Name   string   `json:"name"`
	Median sample   `json:"median,omitempty"`
	Rounds []sample `json:"rounds,omitempty"`
	Absent string   `json:"absent,omitempty"` // why there are none; "": there are
}

// newReport returns a report without rows.
func newReport(rounds int) *report {
	return &report{
		Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: cpuModel(), Processors: runtime.GOMAXPROCS(0), Rounds: rounds,
	}
}

// cpuModel returns the name of the processor where the system tells it, and "" elsewhere.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// newResult returns the result of the row of a group in the rivalry with that number.
func newResult(g *group, n int, r row, res *results) result {
	v, o := g.rivalries()[n], res.outcome(n, r.metric)
	out := result{
		Row: g.title(r), Metric: r.metric, Ratio: o.ratio, Extra: o.extra, Target: r.target.text,
		Ours: figures{Name: g.ours.name, Median: o.ours, Rounds: res.ours, Absent: o.absent},
	}
	switch {
	case o.peer != nil:
		out.Peer = &figures{Name: v.peer.name, Median: o.peer, Rounds: res.peers[n]}
	case o.peerAbsent != "":
		out.Peer = &figures{Name: v.peer.name, Absent: o.peerAbsent}
	}
	if r.target.met != nil && o.absent == "" && o.peerAbsent == "" { // it takes both to be met
		met := r.target.met(o)
		out.Met = &met
	}
	return out
}

// writeJSON writes the report to the file.
func (rep *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(rep, "", "\t")
	if err != nil {
		return err
	}
	return publish(path, string(text)+"\n")
}

// readReport reads what writeJSON has written.
func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rep := &report{}
	if err := json.Unmarshal(text, rep); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rep, nil
}

// printBenchmarks prints every round as a line of Go's benchmark format, which benchstat compares.
func (rep *report) printBenchmarks(w io.Writer) {
	goos, goarch, _ := strings.Cut(rep.OS, "/")
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\ncpu: %s\n", goos, goarch, rep.CPU)
	for _, r := range rep.Rows {
		for _, side := range []*figures{&r.Ours, r.Peer} {
			if side == nil {
				continue
			}
			for _, s := range side.Rounds {
				fmt.Fprintf(w, "Benchmark%s 1 %g %s", benchmarkName(r.Row+"/"+side.Name), s[r.Metric], r.Metric)
				for _, m := range []metric{cpuPerOp, bytesPerOp, allocsPerOp} {
					if v, ok := s[m]; ok && m != r.Metric {
						fmt.Fprintf(w, " %g %s", v, m)
					}
				}
				fmt.Fprintln(w)
			}
		}
	}
}

// benchmarkName returns the row's name as that of a benchmark: with an upper-case letter first and
// without spaces.
func benchmarkName(row string) string {
	return strings.ToUpper(row[:1]) + strings.ReplaceAll(row[1:], " ", "_")
}
