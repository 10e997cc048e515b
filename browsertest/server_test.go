package browsertest_test

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// neverCached keeps the go command from remembering the test's success: it knows nothing of the program that is tested, but doesn't
// cache what has read a file as young as this.
func neverCached(t *testing.T) {
	t.Cleanup(func() {
		const name = "last-run.out" // ignored by git
		if os.WriteFile(name, nil, 0o600) == nil {
			_, _ = os.ReadFile(name)
		}
	})
}

// buildDemo compiles the demo as it is in the tree, once for all tests, and
// returns its name in a folder of the test's own.
func buildDemo(t *testing.T) string {
	t.Helper()
	built, err := demo()
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "demo.exe")
	require.NoError(t, os.Link(built, binary))
	return binary
}

var demo = sync.OnceValues(func() (binary string, err error) { return build("./cmd/demo") })

// build compiles a command of the tree.
func build(command string) (binary string, err error) {
	binary = filepath.Join(shared, filepath.Base(command)+".exe")
	cmd := exec.Command("go", "build", "-o", binary, command) //nolint:noctx // no test's own
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", command, err, out)
	}
	return binary, nil
}

// shared is a folder of all tests.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "browsertest-*"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(shared)
	os.Exit(code)
}

// server is the demo as a process.
type server struct {
	cmd  *exec.Cmd
	url  string
	desk string        // the URL of the dashboard, with -admin
	done chan struct{} // closed when the process has ended
	err  error         // by which it has
}

// startServer starts the demo and waits until it says where it listens.
// It runs in the folder of the binary: without -store, it keeps sessions in there.
func startServer(t *testing.T, binary string, args ...string) *server {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...) // killed with the test, whatever happens
	cmd.Dir = filepath.Dir(binary)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &server{cmd: cmd, done: make(chan struct{})}
	listening := make(chan string, 1)
	go func() { // ends with the process
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "Dashboard at "); ok {
				s.desk = text // read after the next line
			}
			if text, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
				found, _, _ := strings.Cut(text, " ")
				listening <- found
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		s.err = cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { <-s.done })
	select {
	case s.url = <-listening:
	case <-s.done:
		require.FailNow(t, "the demo ended instead of listening", "%v", s.err)
	case <-time.After(patience):
		require.FailNow(t, "the demo doesn't say where it listens")
	}
	return s
}

// addr is where it listens, for the next one to listen there too.
func (s *server) addr(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.url)
	require.NoError(t, err)
	return u.Host
}

// kill ends the process as kill -9 does: it gets to know nothing of it.
func (s *server) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Kill())
	<-s.done
	require.Error(t, s.err)
}

// stop asks the process to end, which it does without an error although sockets are open.
func (s *server) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	select {
	case <-s.done:
		require.NoError(t, s.err)
	case <-time.After(patience):
		require.FailNow(t, "the demo doesn't end")
	}
}
