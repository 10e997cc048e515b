package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

var (
	// byChoice matches the reason of a skip that CI accepts.
	byChoice = regexp.MustCompile(`(?i)\btesting\.Short\b|\bshort mode\b|\bSOAK\b`)
	// frame matches the lines that the testing package prints around a test's output.
	frame = regexp.MustCompile(`^\s*(=== (RUN|PAUSE|CONT|NAME)\s|PASS$|FAIL$|` +
		`(ok|FAIL)\s+\S+\s+(\d|\(cached|\[build failed))`)
	// result matches the last line of a test's output.
	result = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): `)
	// position matches the prefix of messages of t.Log and t.Skip.
	position = regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: `)
)

// report prints the summary and reports whether everything passed.
func report(out io.Writer, r results, ci bool, took time.Duration) bool {
	if ci {
		r = skipsFail(r)
	}
	list(out, "Failed", r.failed)
	list(out, "Skipped", r.skipped)
	fmt.Fprintf(out, "\nTests took %s.\n", took.Round(time.Second/10))
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skipped))
	return len(r.failed) == 0
}

// skipsFail turns skips that aren't by choice into failures.
func skipsFail(r results) results {
	skipped := r.skipped
	r.skipped = nil
	for _, o := range skipped {
		if byChoice.MatchString(o.reason) {
			r.skipped = append(r.skipped, o)
		} else {
			r.failed = append(r.failed, outcome{o.name, "skipped, and CI skips nothing: " + o.reason})
		}
	}
	return r
}

func list(out io.Writer, title string, outcomes []outcome) {
	if len(outcomes) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", title)
	for _, o := range outcomes {
		if o.reason == "" {
			fmt.Fprintf(out, "  %s\n", o.name)
		} else {
			fmt.Fprintf(out, "  %s: %s\n", o.name, o.reason)
		}
	}
}

// skipReason returns the last message of a test: that of t.Skip, which may have several lines.
func skipReason(output string) string {
	var reason []string
	for line := range strings.Lines(withoutFrames(output)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case result.MatchString(line):
		case position.MatchString(line):
			reason = []string{position.ReplaceAllString(line, "")}
		default:
			reason = append(reason, strings.TrimSpace(line))
		}
	}
	if len(reason) == 0 {
		return "no reason given"
	}
	return strings.Join(reason, " ")
}

// withoutFrames removes the lines that only report the beginning or the end of a test.
func withoutFrames(output string) string {
	var kept strings.Builder
	for line := range strings.Lines(output) {
		if !frame.MatchString(strings.TrimSuffix(line, "\n")) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
