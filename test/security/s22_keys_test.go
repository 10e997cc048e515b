package security_test

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// keyNames collects the names of all keys that a server changes.
type keyNames struct {
	conn net.Conn
	mu   sync.Mutex
	all  bytes.Buffer
	done chan struct{}
}

func watchKeys(t *testing.T, s *redistest.Server) *keyNames {
	t.Helper()
	s.Do("CONFIG", "SET", "notify-keyspace-events", "KEA")
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	k := &keyNames{conn: conn, done: make(chan struct{})}
	_, err = fmt.Fprint(conn, "PSUBSCRIBE __keyspace@0__:*\r\n")
	require.NoError(t, err)
	go func() {
		defer close(k.done)
		b := make([]byte, 64<<10)
		for {
			n, err := conn.Read(b)
			k.mu.Lock()
			k.all.Write(b[:n])
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-k.done })
	require.Eventually(t, func() bool { return k.has("psubscribe") }, await.Limit, time.Millisecond)
	return k
}

func (k *keyNames) has(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Contains(k.all.Bytes(), []byte(name))
}

// TestS22_NoKeyHasAUsersName: not even during a login, an eviction, a lock on the user's logins, or
// a reservation.
func TestS22_NoKeyHasAUsersName(t *testing.T) {
	const user = "secret-user"
	s := redistest.Start(t)
	names := watchKeys(t, s)
	var apps []*endtoend.App
	keys := [][]byte{endtoend.NewKey()}
	for range 2 {
		st, err := redisstore.Open(t.Context(), s.URL(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		apps = append(apps, endtoend.Start(t, st, &bridge.Options{Keys: keys, MaxSessionsPerUser: 1}))
	}
	var clients []string
	for i := range 4 {
		br := endtoend.NewBrowser(t, apps[i%2])
		br.Get("/login?user=" + user)
		require.Equal(t, user, br.Get("/user"))
		clients = append(clients, br.Get("/client"))
		require.Equal(t, user, br.Dial().Ask("user"))
	}
	var all sync.WaitGroup // writers of two processes with conflicts reserve the session
	br := endtoend.NewBrowser(t, apps[0])
	br.Get("/login?user=" + user)
	for i := range 8 {
		other := br.Another().At(apps[i%2])
		all.Go(func() {
			for range 10 {
				other.Get("/increment")
			}
		})
	}
	all.Wait()
	n, err := apps[0].Bridge.DestroyUser(t.Context(), user)
	require.NoError(t, err)
	require.Equal(t, 1, n)

	for _, control := range []string{"}:s", "}:u", "}:c", "}:x\x01turn ", "}:l", "}:i"} {
		require.Eventually(t, func() bool { return names.has(control) }, await.Limit, time.Millisecond, "keys like %q have been there", control)
	}
	for _, secret := range append(clients, user, "logins") {
		require.False(t, names.has(secret))
	}
}
