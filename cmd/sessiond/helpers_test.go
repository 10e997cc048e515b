package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

// asProgram is an environment variable: a process that a test has started with it is sessiond.
const asProgram = "RUN_SESSIOND"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	testmain.Run(m)
}

// process is sessiond in a process of its own.
type process struct {
	*exec.Cmd
	t               *testing.T
	url, proxy, key string
	stderr          *syncBuffer
}

// syncBuffer is a buffer for a goroutine of package exec and a test.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// command returns sessiond as a command, with variables of its environment.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...) // killed at the end of the test
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	return cmd
}

// start starts a command and waits until it has said where it serves.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, t: t, stderr: &syncBuffer{}}
	cmd.Stderr = p.stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "proxy":
			p.proxy = value
		case "key":
			p.key, _, _ = strings.Cut(value, " ")
			return p
		case "dashboard":
			p.url = strings.TrimSuffix(value, "/dashboard/")
			if hasKey(cmd.Env) {
				return p
			}
		}
	}
	require.FailNow(t, "it ended instead of listening", "%v\n%s", p.Wait(), p.stderr)
	return nil
}

// hasKey reports whether the environment sets a key, so that none is made.
func hasKey(env []string) bool {
	for _, v := range env {
		if strings.HasPrefix(v, keyVariable+"=") {
			return true
		}
	}
	return false
}

// stop asks the process to end, which must be with the exit code 0.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, p.Wait(), p.stderr.String())
}

// call calls the API and returns the answer.
func (p *process) call(method, path string, body string) (status int, answer map[string]any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	_ = json.Unmarshal(text, &answer) // some answers are none
	return res.StatusCode, answer
}

// create makes a session of a user by the API, and returns its ID.
func (p *process) create(user string) string {
	p.t.Helper()
	status, answer := p.call(http.MethodPost, "/v1/main/sessions", `{"user":"`+user+`","data":{"n":1}}`)
	require.Equal(p.t, http.StatusCreated, status)
	return answer["session"].(map[string]any)["id"].(string)
}

// result is what a command has printed, and its exit code.
type result struct {
	code        int
	out, errors string
}

// sessiond runs a command in this process.
func sessiond(t *testing.T, args ...string) result {
	t.Helper()
	var out, errors bytes.Buffer
	code := run(t.Context(), args, &out, &errors)
	return result{code, out.String(), errors.String()}
}

// use makes the commands of this process call p.
func (p *process) use() {
	p.t.Setenv("SESSIOND_URL", p.url)
	p.t.Setenv(keyVariable, p.key)
}

// serving starts sessiond at any port of the loopback interface.
func serving(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, command(t, []string{"SESSIOND_API_LISTEN=127.0.0.1:0"}, args...))
}
