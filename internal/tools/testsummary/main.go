// Command testsummary runs the tests of several modules and prints a summary.
//
//	testsummary DIR... -- [go test arguments]
//
// In each directory it runs `go test -json` with the arguments after the dashes, in two of them at
// a time. A package is reported when it finishes, and a failing test with its output when it fails. The last line is
// always
//
//	N passed, N failed, N skipped
//
// -race is left out for a module whose go.mod has a line that begins with "// norace:" and says why.
//
// A test with subtests isn't counted in addition to them, unless it failed or was skipped by
// itself. A package that fails without a failing test (it doesn't compile, it exits, it hangs)
// counts as one failure, and so does a module in which go test itself fails.
//
// With CI set to a true value a skipped test is a failure, because everything that the tests need
// must be present there. The exceptions are tests that are long by choice: a skip whose reason
// contains testing.Short, "short mode" or SOAK.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

func main() {
	dirs, args, err := parseArgs(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ci, _ := strconv.ParseBool(os.Getenv("CI"))
	if !run(os.Stdout, dirs, args, ci) {
		os.Exit(1)
	}
}

// parseArgs splits the command line at the dashes.
func parseArgs(args []string) (dirs, testArgs []string, err error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args, testArgs = args[:i], args[i+1:]
	}
	if len(args) == 0 {
		return nil, nil, errors.New("usage: testsummary DIR... -- [go test arguments]")
	}
	return args, testArgs, nil
}

// atOnce is how many modules are tested at a time: the tests of one wait for servers and browsers
// while those of another are compiled.
const atOnce = 2

// run tests the modules, and reports whether everything passed.
func run(out io.Writer, dirs, args []string, ci bool) bool {
	began := time.Now()
	out = &lockedWriter{out: out}
	of := make([]results, len(dirs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				of[i] = testModule(out, dirs[i], args)
			}
		})
	}
	for i := range dirs {
		next <- i
	}
	close(next)
	workers.Wait()
	var all results
	for _, r := range of {
		all.passed += r.passed
		all.failed = append(all.failed, r.failed...)
		all.skipped = append(all.skipped, r.skipped...)
	}
	return report(out, all, ci, time.Since(began))
}

// testModule runs go test in dir.
func testModule(out io.Writer, dir string, args []string) results {
	how := ""
	if i := slices.Index(args, "-race"); i >= 0 && withoutRace(dir) {
		args = slices.Delete(slices.Clone(args), i, i+1)
		how = ", without the race detector"
	}
	fmt.Fprintf(out, "=== module %s%s\n", dir, how)
	c := newCollector(out)
	if err := goTest(c, dir, args); err != nil {
		c.moduleFailed(dir, err)
	}
	return c.results
}

// withoutRace reports whether the module's tests run without the race detector.
func withoutRace(dir string) bool {
	mod, _ := os.ReadFile(filepath.Join(dir, "go.mod")) // go test reports that there is none
	return bytes.HasPrefix(mod, []byte(noRace)) || bytes.Contains(mod, []byte("\n"+noRace))
}

const noRace = "// norace:"

// goTest runs go test in dir and feeds its output to c. Its error is about go test itself; failing
// tests are only counted in c.
func goTest(c *collector, dir string, args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := readEvents(stdout, c)
	if err := cmd.Wait(); err != nil && len(c.failed) == 0 {
		return fmt.Errorf("go test: %w", err)
	}
	return readErr
}

// lockedWriter lets several goroutines write to out. What one call writes stays together.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// readEvents feeds each line of r to c. Lines have no length limit, because a test may print a
// megabyte without a newline.
func readEvents(r io.Reader, c *collector) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			c.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the output of go test: %w", err)
		}
	}
}
