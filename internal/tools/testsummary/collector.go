package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // in a build event
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // the ImportPath whose failed build made the package fail
}

// outcome is a test, or a whole package or module, that failed or was skipped.
type outcome struct {
	name   string // package and test
	reason string
}

// results is the sum over all modules.
type results struct {
	passed  int
	failed  []outcome
	skipped []outcome
}

// collector processes the events of several packages, which go test interleaves.
type collector struct {
	results
	out    io.Writer
	pkgs   map[string]*pkg
	builds map[string]*strings.Builder
}

// pkg is a package whose tests are running.
type pkg struct {
	tests                   map[string]*test // without a result yet
	output                  strings.Builder
	passed, failed, skipped int
}

// test is a test that is running.
type test struct {
	output      strings.Builder
	parent      bool // has subtests
	childFailed bool
}

func newCollector(out io.Writer) *collector {
	return &collector{out: out, pkgs: map[string]*pkg{}, builds: map[string]*strings.Builder{}}
}

// line processes one line of go test's output. Lines that aren't events are printed unchanged.
func (c *collector) line(line []byte) {
	var ev event
	if err := json.Unmarshal(line, &ev); err != nil || ev.Action == "" {
		fmt.Fprintf(c.out, "%s\n", strings.TrimSuffix(string(line), "\n"))
		return
	}
	switch {
	case strings.HasPrefix(ev.Action, "build-"):
		c.buildEvent(ev)
	case ev.Test != "":
		c.testEvent(ev)
	default:
		c.packageEvent(ev)
	}
}

// moduleFailed counts a failure of go test itself.
func (c *collector) moduleFailed(dir string, err error) {
	fmt.Fprintf(c.out, "FAIL %s: %v\n", dir, err)
	c.failed = append(c.failed, outcome{name: "module " + dir, reason: err.Error()})
}

func (c *collector) buildEvent(ev event) {
	output := c.builds[ev.ImportPath]
	if output == nil {
		output = &strings.Builder{}
		c.builds[ev.ImportPath] = output
	}
	output.WriteString(ev.Output)
	if ev.Action == "build-fail" {
		fmt.Fprint(c.out, output.String())
		output.Reset()
	}
}

func (c *collector) testEvent(ev event) {
	p := c.pkg(ev.Package)
	t := p.tests[ev.Test]
	if t == nil {
		t = &test{}
		p.tests[ev.Test] = t
		if parent := p.parent(ev.Test); parent != nil {
			parent.parent = true
		}
	}
	name := ev.Package + " " + ev.Test
	switch ev.Action {
	case "output":
		t.output.WriteString(ev.Output)
		return
	case "pass":
		if !t.parent {
			p.passed++
			c.passed++
		}
	case "skip":
		p.skipped++
		c.skipped = append(c.skipped, outcome{name, skipReason(t.output.String())})
	case "fail":
		c.testFailed(p, ev.Test, t, outcome{name: name})
	default: // run, pause, cont, bench, attr, …
		return
	}
	delete(p.tests, ev.Test)
}

// testFailed prints the test's output and counts it, unless a subtest has been counted.
func (c *collector) testFailed(p *pkg, name string, t *test, o outcome) {
	if parent := p.parent(name); parent != nil {
		parent.childFailed = true
	}
	fmt.Fprint(c.out, withoutFrames(t.output.String()))
	if t.childFailed {
		return
	}
	p.failed++
	c.failed = append(c.failed, o)
}

func (c *collector) packageEvent(ev event) {
	p := c.pkg(ev.Package)
	switch ev.Action {
	case "output":
		p.output.WriteString(ev.Output)
		return
	case "pass":
		cached := ""
		if strings.Contains(p.output.String(), "\t(cached)") {
			cached = ", cached"
		}
		fmt.Fprintf(c.out, "ok   %s (%.1fs%s): %s\n", ev.Package, ev.Elapsed, cached, p.counts())
	case "skip":
		fmt.Fprintf(c.out, "-    %s: no tests\n", ev.Package)
	case "fail":
		c.packageFailed(ev, p)
	default:
		return
	}
	delete(c.pkgs, ev.Package)
}

// packageFailed counts the tests that did not finish, innermost first, or the package if there are
// none.
func (c *collector) packageFailed(ev event, p *pkg) {
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(p.tests))) {
		c.testFailed(p, name, p.tests[name], outcome{ev.Package + " " + name, "did not finish"})
	}
	fmt.Fprint(c.out, withoutFrames(p.output.String()))
	if p.failed == 0 {
		reason := "failed outside of its tests"
		if ev.FailedBuild != "" {
			reason = "does not build"
		}
		p.failed++
		c.failed = append(c.failed, outcome{ev.Package, reason})
	}
	fmt.Fprintf(c.out, "FAIL %s (%.1fs): %s\n", ev.Package, ev.Elapsed, p.counts())
}

func (c *collector) pkg(path string) *pkg {
	p := c.pkgs[path]
	if p == nil {
		p = &pkg{tests: map[string]*test{}}
		c.pkgs[path] = p
	}
	return p
}

// parent returns the running test that the named one is a subtest of, or nil.
func (p *pkg) parent(name string) *test {
	i := strings.LastIndexByte(name, '/')
	for i > 0 { // the name of a subtest may contain slashes
		if t := p.tests[name[:i]]; t != nil {
			return t
		}
		i = strings.LastIndexByte(name[:i], '/')
	}
	return nil
}

func (p *pkg) counts() string {
	s := fmt.Sprintf("%d passed", p.passed)
	if p.failed > 0 {
		s += fmt.Sprintf(", %d failed", p.failed)
	}
	if p.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", p.skipped)
	}
	return s
}
