package peers_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestPeerRedisSessions_ItsOwnSuiteFromNode runs the 88 cases of the test suite of redis-sessions
// 4.0.0 in node, against the REST API over HTTP. Cases that differ on purpose say why; the log has
// them. The server's time is fake: it passes when node says so, in no time.
func TestPeerRedisSessions_ItsOwnSuiteFromNode(t *testing.T) {
	const key = "node-abcdefghijklmnopqrstuvwxyz"
	report := filepath.Join(t.TempDir(), "report")
	addresses, toNode := pipe(t)
	fromNode, waits := pipe(t)
	cmd := exec.CommandContext(t.Context(), programs.Find(t, "node"), "--test-reporter=tap", "--test-reporter-destination="+report,
		"testdata/redissessions/main.mjs", key)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = addresses, waits, os.Stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, addresses.Close())
	require.NoError(t, waits.Close()) // node's end is the only one now
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		b := testkit.NewBridge(t, st.App("test"), nil)
		h, err := admin.Handler(b, &admin.Options{
			App: "test", Apps: map[string]*bridge.Bridge{"TEST": testkit.NewBridge(t, st.App("TEST"), nil)},
			Keys:    []admin.Key{{Name: "node", Secret: key, Scope: admin.ScopeWrite}},
			KeyRate: admin.Off, AddrRate: admin.Off, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		seconds := bufio.NewScanner(fromNode)
		for stop := serveTo(t, h, toNode); ; stop = serveTo(t, h, toNode) {
			more := seconds.Scan()
			stop() // fake time passes only while nothing waits for the network
			if !more {
				break
			}
			d, err := time.ParseDuration(seconds.Text() + "s")
			require.NoError(t, err)
			time.Sleep(d)
		}
	})
	ended := cmd.Wait()
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	for _, why := range regexp.MustCompile(`(?m)^\s*# differs: (.*)$`).FindAllSubmatch(text, -1) {
		t.Logf("differs: %s", why[1])
	}
	require.NoError(t, ended, "%s", regexp.MustCompile(`(?m)^\s*not ok (?:.*\n){1,20}`).FindAll(text, -1))
	require.Regexp(t, `(?m)^# pass 88$`, string(text))
	require.Regexp(t, `(?m)^# tests 88$`, string(text))
}

// serveTo serves h, and writes the URL to w.
func serveTo(t *testing.T, h http.Handler, w *os.File) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	_, err = fmt.Fprintf(w, "http://%s\n", l.Addr())
	require.NoError(t, err)
	return func() {
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}
