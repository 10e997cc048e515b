package admin_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// linesOf returns the lines with the message.
func linesOf(t *testing.T, log *bytes.Buffer, message string) (lines []object) {
	t.Helper()
	for text := range strings.Lines(log.String()) {
		var line object
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestS20_EachChangeIsLoggedWithTheKeysName(t *testing.T) {
	logger, log := newLog()
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{Logger: logger})
	c := newClient(t, b, &admin.Options{Logger: logger})
	id, token := c.create(object{"user": "ada.secret", "data": object{"k": testkit.Confidential}})
	created := linesOf(t, log, "admin change")
	require.Len(t, created, 1)
	require.Subset(t, created[0], object{
		"level": "INFO", "action": "createSession", "key": "writer", "app": "main", "status": 201.0, "session": b.LogHash(id), "addr": "192.0.2.1",
	})
	require.Equal(t, created[0]["session"], linesOf(t, log, "session created")[0]["session"], "as the Bridge names it")

	token = c.ok(http.StatusOK, post, "sessions/rotate", object{"token": token}).text("token")
	for _, call := range []func(c *client) answer{
		func(c *client) answer {
			return c.do(patch, "sessions/"+id+"/data", object{"k": testkit.Confidential + "2"})
		},
		func(c *client) answer { return c.do(put, "sessions/"+id+"/data", object{"k": testkit.Confidential}) },
		func(c *client) answer { return c.do(put, "sessions/"+id+"/ttl", object{"idle": 60}) },
		func(c *client) answer { return c.do(post, "sessions/"+id+"/touch", nil) },
		func(c *client) answer {
			return c.do(post, "sessions/login", object{"token": token, "user": "ada.secret"})
		},
		func(c *client) answer {
			return c.do(post, "notify", object{"to": object{"all": true}, "text": testkit.Confidential})
		},
		func(c *client) answer { return c.do(post, "conns/close", object{"user": "ada.secret"}) },
		func(c *client) answer { return c.do(post, "sessions/sweep", object{"olderThan": 1000}) },
		func(c *client) answer { return c.do(post, "sessions/cleanup", nil) },
		func(c *client) answer { return c.do(del, "sessions/"+id, nil) },
		func(c *client) answer { return c.do(post, "sessions/destroy-user", object{"user": "ada.secret"}) },
		func(c *client) answer { return c.do(post, "sessions/destroy-all", nil) },
		func(c *client) answer { return c.do(del, "sessions/"+id, nil) }, // refused, and logged as such
		func(c *client) answer { return c.do(post, "sessions", object{"user": "ada.secret", "x": 1}) },
	} {
		log.Reset()
		a := call(c)
		lines := linesOf(t, log, "admin change")
		require.Len(t, lines, 1)
		require.Equal(t, "writer", lines[0]["key"])
		require.EqualValues(t, a.Status, lines[0]["status"])
		for _, secret := range []string{"ada.secret", testkit.Confidential, token, writer, id} {
			require.NotContains(t, log.String(), secret, lines[0]["action"])
		}
		log.Reset()
		call(c.as(reader))
		require.Empty(t, linesOf(t, log, "admin change"))
	}
	log.Reset()
	c.ok(http.StatusOK, get, "sessions", nil)
	require.Empty(t, log.String(), "reading is no change")
	c.as(strings.Repeat("forged", 9)).ok(http.StatusUnauthorized, post, "sessions", nil)
	require.Len(t, linesOf(t, log, "admin request without a valid key"), 1)
	require.NotContains(t, log.String(), "forged")
}

func TestBulkEndsAreCountedInTheLog(t *testing.T) {
	logger, log := newLog()
	b := testkit.NewBridge(t, livestore.New(), nil)
	c := newClient(t, b, &admin.Options{Logger: logger})
	keep, _ := c.create(object{"user": "ada"})
	for range 3 {
		c.create(object{"user": "ada"})
	}
	log.Reset()
	a := c.ok(http.StatusOK, post, "sessions/destroy-user", object{"user": "ada", "except": []string{keep}})
	require.Equal(t, "3", a.get("ended"))
	require.EqualValues(t, 3, linesOf(t, log, "admin change")[0]["count"])
}

func TestPrintedKeysTellNoSecret(t *testing.T) {
	logger, log := newLog()
	logger.Info("keys", slog.Any("key", keys()[0]))
	require.Contains(t, log.String(), "admin.Key(writer, write)")
	require.NotContains(t, log.String(), writer)
}
