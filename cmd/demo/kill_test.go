package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// command returns the demo as a command.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...) // killed at the end of the test
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// process is the demo in a process of its own.
type process struct {
	*exec.Cmd
	url string
}

// startProcess starts the process in the folder, and waits until it listens.
func startProcess(t *testing.T, folder string, args ...string) *process {
	t.Helper()
	return startProcessWith(t, folder, t.Output(), args...)
}

// startProcessWith is startProcess with a standard error of the test.
func startProcessWith(t *testing.T, folder string, stderr io.Writer, args ...string) *process {
	t.Helper()
	p := &process{Cmd: command(t, args...)}
	p.Dir, p.Stderr = folder, stderr
	stdout, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			p.url, _, _ = strings.Cut(rest, " ")
			return p
		}
	}
	require.FailNow(t, "it ended instead of listening", "%v", p.Wait())
	return nil
}

// kill kills the process as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())
}

// TestKillLosesNothingThatWasAnswered: visitors increment concurrently over HTTP while the process
// is killed repeatedly. Every answered increment is stored; the one that was pending for each
// visitor may be.
func TestKillLosesNothingThatWasAnswered(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := startProcess(t, folder, "-addr", "127.0.0.1:0")
	visitors := make([]*visitor, 6)
	told := make([]float64, len(visitors))
	for i := range visitors {
		visitors[i] = newVisitor(t, p.url)
		visitors[i].get(t, "/api/session")
	}
	for round := range 3 {
		var all sync.WaitGroup
		var answers atomic.Int64
		enough := make(chan struct{})
		for i, v := range visitors {
			all.Go(func() {
				for {
					total, ok := v.tryIncrement()
					if !ok {
						return
					}
					if total <= told[i] {
						t.Errorf("an increment gives %v; before it was %v", total, told[i])
					}
					told[i] = total
					if answers.Add(1) == 50 {
						close(enough)
					}
				}
			})
		}
		ended := make(chan struct{})
		go func() { all.Wait(); close(ended) }()
		select {
		case <-enough:
		case <-ended:
			require.FailNow(t, "no visitor gets an answer")
		}
		p.kill(t)
		<-ended
		p = startProcess(t, folder, "-addr", strings.TrimPrefix(p.url, "http://"))
		for i, v := range visitors {
			total, ok := v.get(t, "/api/session").Session["total"].(float64)
			require.True(t, ok)
			require.GreaterOrEqual(t, total, told[i], "round %d", round)
			require.LessOrEqual(t, total, told[i]+1, "round %d", round)
			told[i] = total
		}
	}
	p.kill(t)
}

// tryIncrement returns the new total, or false if the server has ended before its answer.
func (v *visitor) tryIncrement() (float64, bool) {
	res, err := v.client.Post(v.url+"/api/increment", "application/json", strings.NewReader(`{"by":1}`))
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	var r reply
	if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&r) != nil {
		return 0, false
	}
	total, ok := r.Session["total"].(float64)
	return total, ok
}
