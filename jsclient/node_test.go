package jsclient_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/internal/testsite"
)

// runNode runs a file of tests in node, with its own WebSocket, and prints what has failed.
func runNode(t *testing.T, file string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.Find(t, "node"),
		"--test", "--test-reporter=spec", "--experimental-websocket", "testdata/"+file)
	cmd.Env = append(os.Environ(), append(env, "NODE_NO_WARNINGS=1")...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}

// The logic of the client, on fake time: what it does after each close, with messages, and in several
// tabs.
func TestClientInNode(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"connection.test.mjs", "messages.test.mjs", "tabs.test.mjs", "crowd.test.mjs"} {
		t.Run(file, func(t *testing.T) { runNode(t, file) })
	}
}

// G14, as a page sees it.
func TestG14_NothingMissedByTheBrowserClient(t *testing.T) {
	t.Parallel()
	site := testsite.Start(t, bridge.Options{})
	runNode(t, "kept.test.mjs", "SITE="+site.URL, "CONTROL="+site.Control(t))
}

func TestClientInNodeAgainstAServer(t *testing.T) {
	t.Parallel()
	site := testsite.Start(t, bridge.Options{})
	runNode(t, "server.test.mjs", "SITE="+site.URL, "CONTROL="+site.Control(t))
}
