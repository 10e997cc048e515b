package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// summarize feeds events to a collector and returns what was printed.
func summarize(t *testing.T, ci bool, events ...event) (string, bool) {
	t.Helper()
	var in, out strings.Builder
	for _, ev := range events {
		require.NoError(t, json.NewEncoder(&in).Encode(ev))
	}
	c := newCollector(&out)
	require.NoError(t, readEvents(strings.NewReader(in.String()), c))
	ok := report(&out, c.results, ci, time.Second)
	return out.String(), ok
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestLeavesAreCounted(t *testing.T) {
	out, ok := summarize(
		t, true,
		event{Action: "run", Package: "p", Test: "TestA"},
		event{Action: "run", Package: "p", Test: "TestA/one"},
		event{Action: "run", Package: "p", Test: "TestA/two/slashed"},
		event{Action: "pass", Package: "p", Test: "TestA/one"},
		event{Action: "pass", Package: "p", Test: "TestA/two/slashed"},
		event{Action: "pass", Package: "p", Test: "TestA"},
		event{Action: "output", Package: "p", Test: "TestB", Output: "chatter\n"},
		event{Action: "pass", Package: "p", Test: "TestB"},
		event{Action: "pass", Package: "p", Elapsed: 0.25},
		event{Action: "skip", Package: "q"},
	)
	require.True(t, ok)
	require.Equal(t, "3 passed, 0 failed, 0 skipped", lastLine(out))
	require.Contains(t, out, "ok   p (0.2s): 3 passed\n")
	require.Contains(t, out, "-    q: no tests\n")
	require.NotContains(t, out, "chatter")
}

func TestAFailureShowsItsOutputAndIsCountedOnce(t *testing.T) {
	out, ok := summarize(
		t, false,
		event{Action: "run", Package: "p", Test: "TestA"},
		event{Action: "run", Package: "p", Test: "TestA/one"},
		event{Action: "output", Package: "p", Test: "TestA/one", Output: "=== RUN   TestA/one\n"},
		event{Action: "output", Package: "p", Test: "TestA/one", Output: "    a_test.go:3: wrong\n"},
		event{Action: "output", Package: "p", Test: "TestA/one", Output: "    --- FAIL: TestA/one (0.00s)\n"},
		event{Action: "fail", Package: "p", Test: "TestA/one"},
		event{Action: "fail", Package: "p", Test: "TestA"},
		event{Action: "output", Package: "p", Output: "FAIL\tp\t0.1s\n"},
		event{Action: "fail", Package: "p"},
	)
	require.False(t, ok)
	require.Equal(t, "0 passed, 1 failed, 0 skipped", lastLine(out))
	require.Contains(t, out, "    a_test.go:3: wrong\n    --- FAIL: TestA/one (0.00s)\n")
	require.NotContains(t, out, "=== RUN")
	require.Contains(t, out, "\nFailed:\n  p TestA/one\n")
}

func TestAPackageCanFailWithoutAFailingTest(t *testing.T) {
	tests := map[string]struct {
		events []event
		want   string
	}{
		"build": {[]event{
			{Action: "build-output", ImportPath: "p [p.test]", Output: "p.go:1: undefined: x\n"},
			{Action: "build-fail", ImportPath: "p [p.test]"},
			{Action: "output", Package: "p", Output: "FAIL\tp [build failed]\n"},
			{Action: "fail", Package: "p", FailedBuild: "p [p.test]"},
		}, "p: does not build"},
		"exit": {[]event{
			{Action: "run", Package: "p", Test: "TestA"},
			{Action: "pass", Package: "p", Test: "TestA"},
			{Action: "output", Package: "p", Output: "leaked a goroutine\n"},
			{Action: "fail", Package: "p"},
		}, "p: failed outside of its tests"},
		"hang": {[]event{
			{Action: "run", Package: "p", Test: "TestA"},
			{Action: "run", Package: "p", Test: "TestA/one"},
			{Action: "output", Package: "p", Test: "TestA/one", Output: "panic: test timed out\n"},
			{Action: "fail", Package: "p"},
		}, "p TestA/one: did not finish"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, ok := summarize(t, false, tt.events...)
			require.False(t, ok)
			require.Contains(t, out, "\nFailed:\n  "+tt.want+"\n")
			require.Contains(t, lastLine(out), " passed, 1 failed, 0 skipped")
			for _, ev := range tt.events {
				if ev.Output != "" && !strings.HasPrefix(ev.Output, "FAIL") {
					require.Contains(t, out, ev.Output)
				}
			}
		})
	}
}

func TestSkipsFailUnderCIUnlessByChoice(t *testing.T) {
	events := []event{
		{Action: "output", Package: "p", Test: "TestBrowser", Output: "=== RUN   TestBrowser\n"},
		{Action: "output", Package: "p", Test: "TestBrowser", Output: "    p_test.go:7: looking around\n"},
		{Action: "output", Package: "p", Test: "TestBrowser", Output: "    p_test.go:8: no Chromium:\n"},
		{Action: "output", Package: "p", Test: "TestBrowser", Output: "        install chromium\n"},
		{Action: "output", Package: "p", Test: "TestBrowser", Output: "--- SKIP: TestBrowser (0.00s)\n"},
		{Action: "skip", Package: "p", Test: "TestBrowser"},
		{Action: "output", Package: "p", Test: "TestLong", Output: "    p_test.go:9: runs with SOAK=1 only\n"},
		{Action: "skip", Package: "p", Test: "TestLong"},
		{Action: "pass", Package: "p"},
	}

	out, ok := summarize(t, false, events...)
	require.True(t, ok)
	require.Equal(t, "0 passed, 0 failed, 2 skipped", lastLine(out))
	require.Contains(t, out, "  p TestBrowser: no Chromium: install chromium\n")

	out, ok = summarize(t, true, events...)
	require.False(t, ok)
	require.Equal(t, "0 passed, 1 failed, 1 skipped", lastLine(out))
	require.Contains(t, out, "  p TestBrowser: skipped, and CI skips nothing: no Chromium: install chromium\n")
}

func TestOtherOutputIsPassedOn(t *testing.T) {
	var out strings.Builder
	c := newCollector(&out)
	require.NoError(t, readEvents(strings.NewReader("not an event\n{\"a\":1}"), c))
	require.Equal(t, "not an event\n{\"a\":1}\n", out.String())
}

func TestParseArgs(t *testing.T) {
	dirs, args, err := parseArgs([]string{".", "bench", "--", "-race", "./..."})
	require.NoError(t, err)
	require.Equal(t, []string{".", "bench"}, dirs)
	require.Equal(t, []string{"-race", "./..."}, args)

	_, _, err = parseArgs([]string{"--", "./..."})
	require.Error(t, err)
}

// TestRunAgainstGoTest checks that the go command in use emits the events that the collector
// expects.
func TestRunAgainstGoTest(t *testing.T) {
	good, broken := t.TempDir(), t.TempDir()
	write := func(dir, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write(good, "go.mod", "module good\n\ngo 1.25.0\n")
	write(good, "a_test.go", `package good

import "testing"

func TestPass(t *testing.T)   { t.Run("sub", func(t *testing.T) {}) }
func TestFail(t *testing.T)   { t.Error("as expected") }
func TestSkip(t *testing.T)   { t.Skip("nothing here") }
func TestUnwell(t *testing.T) { panic("unwell") }
`)
	write(broken, "go.mod", "module broken\n\ngo 1.25.0\n\nrequire nowhere.invalid/x v1.0.0\n")
	write(broken, "a_test.go", "package broken\n\nimport _ \"nowhere.invalid/x\"\n")
	t.Setenv("GOFLAGS", "-mod=readonly")
	t.Setenv("GOPROXY", "off")

	var out strings.Builder
	require.False(t, run(&out, []string{good, broken}, []string{"./..."}, false))
	require.Equal(t, "1 passed, 3 failed, 1 skipped", lastLine(out.String()), out.String())
	require.Contains(t, out.String(), "as expected")
	require.Contains(t, out.String(), "panic: unwell")
	require.Contains(t, out.String(), "good TestSkip: nothing here")
}

func TestAModuleMayBeTestedWithoutTheRaceDetector(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module plain\n\n// norace: it takes too long.\n\ngo 1.25.0\n",
		"a_test.go":    "package plain\n\nimport \"testing\"\n\nfunc TestPlain(t *testing.T) {}\n",
		"race_test.go": "//go:build race\n\npackage plain\n\nimport \"testing\"\n\nfunc TestRaced(t *testing.T) { t.Error(\"raced\") }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	var out strings.Builder
	require.True(t, run(&out, []string{dir}, []string{"-race", "./..."}, false), out.String())
	require.Equal(t, "1 passed, 0 failed, 0 skipped", lastLine(out.String()), out.String())
	require.Contains(t, out.String(), "=== module "+dir+", without the race detector\n")
}
