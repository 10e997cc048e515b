package browsertest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// firefox is a Firefox, which speaks WebDriver BiDi without another program in between.
type firefox struct {
	ws    *websocket.Conn
	count int
}

// startFirefox starts Firefox with a profile of its own.
func startFirefox(t *testing.T) *firefox {
	t.Helper()
	name := programs.Find(t, "firefox-esr", "firefox")
	cmd := exec.CommandContext(t.Context(), name, "--headless", "--no-remote", "--profile", t.TempDir(), "--remote-debugging-port=0", "about:blank")
	cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir(), "MOZ_DISABLE_CONTENT_SANDBOX=1") // its sandbox doesn't work in a container
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	address := ""
	for address == "" && lines.Scan() {
		if _, found, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
			address = strings.TrimSpace(found)
		}
	}
	drained := make(chan struct{})
	go func() {
		for lines.Scan() { // otherwise it would block
		}
		close(drained)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	require.NotEmpty(t, address, "it doesn't say where it listens")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, address+"/session", nil)
	require.NoError(t, err)
	ws.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = ws.CloseNow() })
	f := &firefox{ws: ws}
	f.call(t, "session.new", map[string]any{"capabilities": map[string]any{}})
	return f
}

// call runs a command and returns its result.
func (f *firefox) call(t *testing.T, method string, params map[string]any) json.RawMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f.count++
	require.NoError(t, wsjson.Write(ctx, f.ws, map[string]any{"id": f.count, "method": method, "params": params}))
	for {
		var answer struct {
			ID             int
			Result         json.RawMessage
			Error, Message string
		}
		require.NoError(t, wsjson.Read(ctx, f.ws, &answer), method)
		if answer.ID == f.count {
			require.Empty(t, answer.Error, "%s: %s", method, answer.Message)
			return answer.Result
		}
	}
}

// firefoxTab is a tab of Firefox.
type firefoxTab struct {
	*firefox
	id string
}

func (f *firefox) open(t *testing.T, url string) page {
	t.Helper()
	var created struct{ Context string }
	require.NoError(t, json.Unmarshal(f.call(t, "browsingContext.create", map[string]any{"type": "tab"}), &created))
	tb := &firefoxTab{f, created.Context}
	tb.call(t, "browsingContext.navigate", map[string]any{"context": tb.id, "url": url, "wait": "complete"})
	return tb
}

// caches: Firefox decides before it tells the page that it is being left.
func (f *firefox) caches() bool { return false }

func (tb *firefoxTab) leave(t *testing.T) {
	t.Helper()
	tb.call(t, "browsingContext.close", map[string]any{"context": tb.id})
}

func (tb *firefoxTab) value(t *testing.T, expression string) string {
	t.Helper()
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	require.NoError(t, json.Unmarshal(tb.call(t, "script.evaluate", map[string]any{
		"expression": "(async () => String(await (" + expression + ")))()", "target": map[string]any{"context": tb.id}, "awaitPromise": true,
	}), &answer))
	require.Empty(t, answer.ExceptionDetails.Text, expression)
	return answer.Result.Value
}

func (tb *firefoxTab) shows(t *testing.T, expression string) {
	t.Helper()
	const wait = `new Promise(done => {
		const until = Date.now() + %d, look = () => (%s) ? done("yes") : Date.now() > until ? done(JSON.stringify(window.events)) : setTimeout(look, 20);
		look();
	})`
	require.Equal(t, "yes", tb.value(t, fmt.Sprintf(wait, patience.Milliseconds()/2, expression)), "it never shows %s", expression)
}
