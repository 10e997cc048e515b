package admin_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// decoded returns the body of an answer.
func decoded(t testing.TB, a answer) (v object) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.Body), &v))
	return v
}

func TestStatus(t *testing.T) {
	b, c := newMain(t, nil)
	c.create(nil)
	require.Equal(t, true, c.ok(http.StatusOK, get, "ping", nil).get("ok"))
	a := c.ok(http.StatusOK, get, "health", nil)
	require.Equal(t, true, a.get("store"))
	require.Equal(t, true, a.get("nodes"))
	stats := decoded(t, c.ok(http.StatusOK, get, "stats", nil))
	require.EqualValues(t, b.Stats().Writes, stats["writes"])
	require.NotZero(t, stats["writes"])
	require.Equal(t, true, stats["healthy"])
	c.ok(http.StatusOK, http.MethodHead, "stats", nil)
}

// With nodes on one store each of them is listed; one that doesn't answer makes the list incomplete.
func TestNodes(t *testing.T) {
	hub, apps := testkit.NewNodes(t, 2, bridge.Options{})
	c := newClient(t, apps[0].Bridge, nil)
	webclient.Pocket{}.Get(t, apps[1].Handler(apps[1].Mux), "/inc")
	var list struct {
		Nodes []struct {
			Node    string
			Started time.Time
			Stats   bridge.Stats
		}
		Complete bool
	}
	read := func() {
		t.Helper()
		list.Nodes = nil
		require.NoError(t, json.Unmarshal([]byte(c.ok(http.StatusOK, get, "nodes", nil).Body), &list))
	}
	read()
	require.True(t, list.Complete)
	require.Len(t, list.Nodes, 2)
	for i, name := range []string{"", "node1"} {
		n := list.Nodes[i]
		require.Equal(t, name, n.Node)
		require.WithinDuration(t, time.Now(), n.Started, time.Hour)
		require.True(t, n.Stats.Healthy)
		require.EqualValues(t, i, n.Stats.Writes, "its own")
	}
	hub.Node(1).SetNetwork(true, false)
	read()
	require.False(t, list.Complete)
	require.Len(t, list.Nodes, 1)
}

func TestManySessionsAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newMain(t, testkit.Lasting())
		old, _ := c.create(object{"user": "ada"})
		time.Sleep(time.Hour)
		kept, _ := c.create(object{"user": "ada"})
		require.Equal(t, "0", c.ok(http.StatusOK, post, "sessions/sweep", object{"olderThan": 7200}).get("ended"))
		require.Equal(t, "1", c.ok(http.StatusOK, post, "sessions/sweep", object{"olderThan": 1800}).get("ended"))
		require.False(t, testkit.SessionExists(t, b, old))
		time.Sleep(time.Hour)
		c.ok(http.StatusNoContent, post, "sessions/"+kept+"/touch", nil)
		require.Equal(t, "0", c.ok(http.StatusOK, post, "sessions/sweep", object{"unusedFor": 1}).get("ended"))
		time.Sleep(time.Minute)
		other, _ := c.create(object{"user": "bob"})
		require.Equal(t, "1", c.ok(http.StatusOK, post, "sessions/sweep", object{"unusedFor": 30}).get("ended"))
		require.Equal(t, []string{other}, testkit.ListedIDs(t, b, bridge.Filter{}))
		require.Equal(t, "1", c.ok(http.StatusOK, post, "sessions/destroy-all", nil).get("ended"))
		require.Equal(t, "0", c.ok(http.StatusOK, post, "sessions/destroy-all", object{}).get("ended"))
		c.create(object{"ttl": 1})
		time.Sleep(2 * time.Second)
		require.Equal(t, "1", c.ok(http.StatusOK, post, "sessions/cleanup", nil).get("ended"))
	})
}

func TestInputOfManyEnds(t *testing.T) {
	_, c := newMain(t, nil)
	id, _ := c.create(object{"user": "ada"})
	c.refused("user", post, "sessions/destroy-user", object{})
	c.refused("user", post, "sessions/destroy-user", object{"user": nil})
	c.refused("user", post, "sessions/destroy-user", object{"user": ""})
	c.refused("except", post, "sessions/destroy-user", object{"user": "ada", "except": id})
	c.refused("except.0", post, "sessions/destroy-user", object{"user": "ada", "except": []string{"x"}})
	c.refused("except", post, "sessions/destroy-user", object{"user": "ada", "except": make([]string, 1001)})
	c.refused("olderThan", post, "sessions/sweep", object{})
	c.refused("all", post, "sessions/destroy-all", object{"all": true})
	c.ok(http.StatusOK, get, "sessions/"+id, nil)
}
