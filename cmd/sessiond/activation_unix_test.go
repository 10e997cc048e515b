//go:build unix

package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// activated returns sessiond as systemd starts it: with a socket that stays open.
func activated(t *testing.T, socket *os.File, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, []string{keyVariable + "=" + strings.Repeat("K", 26), "LISTEN_FDS=1", "LISTEN_FDNAMES=" + name})
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, args...)
	cmd.Path, cmd.ExtraFiles = shell, []*os.File{socket}
	return cmd
}

// While the program restarts, the socket of systemd accepts connections, which the next process
// answers.
func TestRestartRefusesNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	defer socket.Close()
	probe := func() <-chan int {
		status := make(chan int, 1)
		go func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Limit}
			res, err := client.Get("http://" + l.Addr().String() + "/readyz")
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			_ = res.Body.Close()
			status <- res.StatusCode
		}()
		return status
	}
	first := start(t, activated(t, socket, "sessiond.socket"))
	require.Equal(t, "http://"+l.Addr().String(), first.url)
	require.Equal(t, http.StatusNoContent, await.Receive(t, probe()))
	first.stop()
	waiting := probe()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), time.Minute)
	require.NoError(t, err, "it is accepted without a process")
	require.NoError(t, conn.Close())
	second := start(t, activated(t, socket, "api"))
	require.Equal(t, http.StatusNoContent, await.Receive(t, waiting))
	second.stop()

	lost := activated(t, socket, "other", "proxy", "--backend", "http://127.0.0.1:1", "--api-listen=127.0.0.1:0", "--proxy-listen=127.0.0.1:0")
	text, err := lost.CombinedOutput()
	require.Error(t, err, "nothing would answer there")
	require.Contains(t, string(text), `a socket named "other"`)
}
