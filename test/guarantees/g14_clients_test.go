package guarantees_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// G14: the client in JavaScript that docs/sockets.md shows misses nothing, while its connection is
// closed again and again. It has a token in its URL, because WebSockets of node have no cookies.
func TestG14_NothingMissedAtAReconnect_ByTheClientOfTheDocuments(t *testing.T) {
	t.Setenv("NODE_OPTIONS", "--experimental-websocket") // node 20
	doc, err := os.ReadFile("../../docs/sockets.md")
	require.NoError(t, err)
	_, script, found := strings.Cut(string(doc), "```js kept\n")
	require.True(t, found)
	script, _, _ = strings.Cut(script, "```")

	a := testkit.NewApp(t, livestore.New(), &bridge.Options{
		TokenFrom: func(r *http.Request) (token string, ok bool) { return r.URL.Query().Get("token"), true },
	})
	address := a.Serve(t).URL
	get := func(path, token string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+path+"?token="+token, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, string(body)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	res, _ := get("/inc", "")
	token := res.Header.Get(bridge.SessionTokenHeader)
	_, id := get("/id", token)

	script += fmt.Sprintf(`
process.stdin.on("end", () => process.exit()).resume();
listen(%q, (message) => console.log(message), () => console.log("load"));
`, strings.Replace(address, "http", "ws", 1)+"/ws?token="+token)
	path := filepath.Join(t.TempDir(), "client.cjs")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o600))
	lines := programs.Node(t, path)
	expect := func(line string) {
		t.Helper()
		require.True(t, lines.Scan(), "the client has ended")
		require.Equal(t, line, lines.Text())
	}
	expect("load")
	next, heard := 0, 0
	for range 3 {
		notifyKept(t, a.Bridge, bridge.To{SessionID: id}, fmt.Sprint(next), fmt.Sprint(next+1))
		next += 2
		for _, c := range testkit.Conns(t, a.Bridge, bridge.ConnFilter{}) {
			_, err := a.CloseConn(t.Context(), c.ID, bridge.CodeIdle, "")
			require.NoError(t, err)
		}
		notifyKept(t, a.Bridge, bridge.To{SessionID: id}, fmt.Sprint(next))
		next++
		for ; heard < next; heard++ {
			expect(fmt.Sprint(heard))
		}
	}
}
