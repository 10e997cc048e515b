package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// chart is a picture of some rows: for each a bar of ours, and one of each peer.
type chart struct {
	file  string
	title string
	note  string // what the length of a bar is
	rows  *regexp.Regexp
	unit  func(float64) string
}

var charts = []chart{
	{
		"bench-http.svg", "A request that uses its session", "time per request: shorter is better",
		regexp.MustCompile(`^middleware/(read|write|WithSession|create)$`), duration,
	},
	{
		"bench-sockets.svg", "A change of a session from a socket", "time per change: shorter is better",
		regexp.MustCompile(`^WithSession/3 keys`), duration,
	},
	{
		"bench-file.svg", "Durable changes in a file", "changes per second: longer is better",
		regexp.MustCompile(`^file/durable sets, (1|64) writers?: (raw log|bbolt, a committer|Pebble)$`), rate,
	},
	{
		"bench-redis.svg", "64 calls at once on one Redis", "operations per second: longer is better",
		regexp.MustCompile(`^redis/64 in flight: (create|get|set|destroy)$`), rate,
	},
	{
		"bench-memory.svg", "Memory for a session of 300 bytes", "bytes per session: shorter is better",
		regexp.MustCompile(`^(heap per session|redis/64 in flight: memory)`), size,
	},
}

func rate(v float64) string {
	if v >= 1e4 {
		return fmt.Sprintf("%.0fk/s", v/1e3)
	}
	return fmt.Sprintf("%.0f/s", v)
}

// The measures of a chart, in pixels.
const (
	chartWidth = 760
	nameWidth  = 250
	barWidth   = 380 // of the longest bar
	barHeight  = 16
	rowGap     = 12
	headHeight = 54
)

// bar is one bar, or the name above some.
type bar struct {
	name  string
	value float64
	ours  bool
}

// bars returns the bars of each row that has been measured, with the row's name.
func (c *chart) bars(rep *report) (names []string, rows [][]bar) {
	for i := range rep.Rows {
		r := &rep.Rows[i]
		if !c.rows.MatchString(r.Row) || r.Ours.Absent != "" || r.Peer == nil || r.Peer.Absent != "" {
			continue
		}
		ours := bar{"sessionbridge", r.Ours.Median[r.Metric], true}
		peer := bar{r.Peer.Name, r.Peer.Median[r.Metric], false}
		name := strings.TrimSuffix(r.Row, ": "+r.Peer.Name)
		if last := len(names) - 1; last >= 0 && names[last] == name {
			rows[last] = append(rows[last], peer)
			continue
		}
		names, rows = append(names, name), append(rows, []bar{ours, peer})
	}
	return names, rows
}

// svg returns the picture, "" if none of its rows was measured. Its colours are legible on a light
// background and on a dark one.
func (c *chart) svg(rep *report) string {
	names, rows := c.bars(rep)
	if len(rows) == 0 {
		return ""
	}
	longest, height := 0.0, headHeight
	for _, row := range rows {
		height += barHeight + len(row)*barHeight + rowGap
		for _, b := range row {
			longest = math.Max(longest, b.value)
		}
	}
	var s strings.Builder
	title := html.EscapeString(c.title)
	fmt.Fprintf(&s, svgHead, chartWidth, height, chartWidth, title, title, html.EscapeString(c.note))
	y := headHeight
	for i, row := range rows {
		fmt.Fprintf(&s, svgName, y+barHeight-4, html.EscapeString(names[i]))
		y += barHeight
		for _, b := range row {
			class := "peer"
			if b.ours {
				class = "ours"
			}
			width := math.Max(1, b.value/longest*barWidth)
			fmt.Fprintf(&s, svgBar, nameWidth-8, y+barHeight-4, html.EscapeString(b.name),
				nameWidth, y+2, width, barHeight-4, class,
				nameWidth+width+6, y+barHeight-4, html.EscapeString(c.unit(b.value)))
			y += barHeight
		}
		y += rowGap
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// The parts of a picture.
const (
	svgHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s" ` +
		`font-family="system-ui, sans-serif" font-size="12">
<style>text{fill:#24292f}.note{fill:#57606a}.ours{fill:#0969da}.peer{fill:#8c959f}` +
		`@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}` +
		`.ours{fill:#4493f8}.peer{fill:#6e7681}}</style>
<text x="0" y="18" font-size="16" font-weight="600">%s</text>
<text x="0" y="38" class="note">%s</text>
`
	svgName = `<text x="0" y="%d" font-weight="600">%s</text>
`
	svgBar = `<text x="%d" y="%d" text-anchor="end">%s</text>` +
		`<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" class="%s"/>` + `<text x="%.1f" y="%d">%s</text>
`
)

// The results stand between these lines of performance.md.
const (
	resultsBegin = "<!-- results: written by bench -docs -->\n"
	resultsEnd   = "<!-- end of the results -->\n"
)

// document writes the charts into the folder's img, and the results into its performance.md.
func (rep *report) document(folder string) error {
	path := filepath.Join(folder, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), resultsBegin)
	_, after, ends := strings.Cut(rest, resultsEnd)
	if !ok || !ends {
		return fmt.Errorf("%s: the lines %q and %q are missing, between which the results belong",
			path, resultsBegin, resultsEnd)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "Measured on %s: %s, %d processors, %s, %s, %d rounds.\n\n",
		rep.Date.Format("2 January 2006"), rep.CPU, rep.Processors, rep.Go, rep.OS, rep.Rounds)
	for _, c := range charts {
		picture := c.svg(rep)
		if picture == "" {
			continue
		}
		if err := publish(filepath.Join(folder, "img", c.file), picture); err != nil {
			return err
		}
		fmt.Fprintf(&s, "![%s](img/%s)\n\n", c.title, c.file)
	}
	s.WriteString("| Row | Ours | Peer | Ratio | Target | Met |\n|---|---|---|---|---|---|\n")
	for i := range rep.Rows {
		fmt.Fprintf(&s, "| %s |\n", strings.Join(rep.Rows[i].cells(), " | "))
	}
	return publish(path, before+resultsBegin+"\n"+s.String()+"\n"+resultsEnd+after)
}

// publish writes a file that everybody may read.
func publish(path, text string) error {
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // it is no secret
}
