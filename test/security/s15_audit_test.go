package security_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// auditLog is the text of an audit log.
type auditLog struct {
	bytes.Buffer
	hash func(id string) string // LogHash
}

// requireOne checks that exactly one line has the message and the attributes, and no others but those
// of the rest. A text that begins with # is an ID, to be logged as a hash.
func (l *auditLog) requireOne(t *testing.T, msg string, attrs line) {
	t.Helper()
	want := line{}
	for name, value := range attrs {
		if id, ok := strings.CutPrefix(asText(value), "#"); ok {
			value = l.hash(id)
			require.Regexp(t, "^[0-9a-f]{16}$", value)
		}
		want[name] = value
	}
	found := linesOf(t, l.Bytes(), msg, want)
	require.Len(t, found, 1, "%s %v in:\n%s", msg, want, l.String())
	for name := range found[0] {
		if name != "time" && name != "level" && name != "msg" {
			require.Contains(t, want, name, "%s has another attribute", msg)
		}
	}
}

func asText(v any) string {
	text, _ := v.(string)
	return text
}

// auditing is an application with an audit log, whose clients come from 192.0.2.7.
func auditing(t *testing.T, opts bridge.Options) (*testkit.App, *webclient.Site, *auditLog) {
	t.Helper()
	log := &auditLog{}
	opts.Audit = slog.New(slog.NewJSONHandler(&log.Buffer, nil))
	opts.Logger = slog.New(slog.DiscardHandler)
	opts.Keys = [][]byte{testkit.Key()}
	a := testkit.NewTicketApp(t, livestore.New(), &opts)
	log.hash = a.LogHash
	h := a.Handler(a.Mux)
	return a, webclient.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "192.0.2.7:1234"
		h.ServeHTTP(w, r)
	})), log
}

// clientOf returns the client of a session.
func clientOf(t *testing.T, a *testkit.App, id string) string {
	t.Helper()
	info := testkit.Listed(t, a.Bridge, bridge.Filter{SessionID: id})
	require.Len(t, info, 1)
	return info[0].ClientID
}

// Each event in the life of sessions is one line of the audit log, which says whom it is about, from
// where and why, and nothing else.
func TestS15_TheAuditLogHasEachEventOnce(t *testing.T) {
	const from = "192.0.2.7"
	synctest.Test(t, func(t *testing.T) {
		a, site, log := auditing(t, bridge.Options{RenewEvery: time.Hour, MaxSessionsPerUser: 1})
		br := webclient.NewBrowser(t, site)
		br.OK("/inc")
		id := br.OK("/id")
		client := clientOf(t, a, id)
		about := func(more line) line {
			all := line{"session": "#" + id, "client": "#" + client, "addr": from, "via": "http"}
			maps.Copy(all, more)
			return all
		}
		log.requireOne(t, "session created", about(nil))
		stale := br.Another()
		br.OK("/rotate")
		log.requireOne(t, "token rotated", about(nil))
		br.OK("/login?user=ada")
		log.requireOne(t, "user logged in", about(line{"user": "#ada"}))
		br.OK("/login?user=bob")
		log.requireOne(t, "user logged in", about(line{"user": "#bob", "previous_user": "#ada"}))
		time.Sleep(time.Hour)
		br.OK("/get")
		log.requireOne(t, "token renewed", about(line{"user": "#bob"}))

		// Refusals.
		stale.OK("/get")
		log.requireOne(t, "credential refused", about(line{"user": "#bob", "credential": "cookie", "reason": "token"}))
		thief := br.Another()
		thief.SetCookie("sid.cid", "")
		thief.OK("/get")
		mismatch := linesOf(t, log.Bytes(), "client mismatch", line{"session": log.hash(id), "user": log.hash("bob"), "refused": false})
		require.Len(t, mismatch, 1)
		require.Equal(t, "WARN", mismatch[0]["level"])
		_, _, err := br.TryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
		require.Error(t, err)
		log.requireOne(t, "handshake refused", line{
			"client": "#" + client, "addr": from, "via": "http", "status": 403.0,
			"reason": "Connections from pages of this origin are not allowed.",
		})

		// Tickets.
		ticket := br.OK("/ticket")
		log.requireOne(t, "ticket issued", about(line{"user": "#bob", "ticket": "handshake"}))
		ws, _, err := br.DialTicket("/tickets", ticket)
		require.NoError(t, err)
		log.requireOne(t, "ticket redeemed", about(line{"user": "#bob", "ticket": "handshake"}))
		login := ws.LoginTicket("cyd")
		log.requireOne(t, "ticket issued", about(line{"user": "#cyd", "via": "socket", "ticket": "login"}))
		ws.LoginTicket("")
		log.requireOne(t, "ticket issued", about(line{"user": "#bob", "via": "socket", "ticket": "rotate"}))
		require.Equal(t, "in as cyd", br.Get("/redeem", "X-Ticket", login).Body)
		log.requireOne(t, "ticket redeemed", about(line{"user": "#cyd", "ticket": "login"}))
		br.Get("/redeem", "X-Ticket", login)
		log.requireOne(t, "credential refused", about(line{"user": "#cyd", "credential": "ticket", "reason": "ticket"}))

		// Ends.
		other := webclient.NewBrowser(t, site)
		other.OK("/login?user=cyd")
		log.requireOne(t, "session ended", line{ // the address of who has logged in there isn't this one's
			"session": "#" + id, "client": "#" + client, "user": "#cyd", "via": "http", "reason": "evicted",
		})
		id = other.OK("/id")
		client = clientOf(t, a, id)
		other.OK("/logout")
		log.requireOne(t, "session ended", about(line{"user": "#cyd", "reason": "logout"}))
		other.OK("/inc")
		id = other.OK("/id")
		client = clientOf(t, a, id)
		_, err = a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		log.requireOne(t, "session ended", line{
			"session": "#" + id, "client": "#" + client, "via": "api", "reason": "destroyed",
		})
		other.OK("/inc")
		id = other.OK("/id")
		client = clientOf(t, a, id)
		time.Sleep(25 * time.Hour)
		_, err = a.Cleanup(t.Context())
		require.NoError(t, err)
		log.requireOne(t, "session ended", line{
			"session": "#" + id, "client": "#" + client, "via": "time", "reason": "expired",
		})

		// Calls without a request.
		c, err := a.Create(t.Context(), bridge.NewSession{UserID: "dan", Addr: "192.0.2.9"})
		require.NoError(t, err)
		for _, msg := range []string{"session created", "user logged in"} {
			log.requireOne(t, msg, line{
				"session": "#" + c.SessionID, "client": "#" + c.ClientID, "user": "#dan", "via": "api",
			})
		}
		_, err = a.Open(t.Context(), bridge.Credentials{Token: "garbage"})
		require.ErrorIs(t, err, bridge.ErrCredentials)
		log.requireOne(t, "credential refused", line{"via": "api", "credential": "token", "reason": "signature"})
		requireDocumented(t, log.Bytes())
	})
}

func TestS15_TheAuditLogHasImports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, site, log := auditing(t, bridge.Options{Import: func(*http.Request) *bridge.Import {
			return &bridge.Import{Key: "k", Load: func(context.Context) (string, map[string]any, bool, error) {
				return "ada", map[string]any{"n": 7}, true, nil
			}}
		}})
		br := webclient.NewBrowser(t, site)
		require.Equal(t, "7", br.OK("/get"))
		imported := linesOf(t, log.Bytes(), "session imported", nil)
		require.Len(t, imported, 1)
		require.Equal(t, log.hash("ada"), imported[0]["user"])
		require.Len(t, linesOf(t, log.Bytes(), "session created", line{"session": imported[0]["session"]}), 1)
		require.Empty(t, linesOf(t, log.Bytes(), "user logged in", nil), "that was elsewhere")
		requireDocumented(t, log.Bytes())
	})
}

func TestS15_TheAuditLogHasDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, site, log := auditing(t, bridge.Options{Secure: bridge.SecureAlways, DeviceBound: &bridge.DeviceBound{}})
		br := webclient.NewSecureBrowser(t, site)
		offered := br.Get("/login?user=ada")
		d := br.Register(offered.Header)
		id := br.OK("/id")
		bound := linesOf(t, log.Bytes(), "device bound", line{"session": log.hash(id), "user": log.hash("ada"), "via": "http"})
		require.Len(t, bound, 1)

		thief := br.Another()
		thief.SetCookie(d.CookieName, "")
		thief.OK("/get")
		require.Len(t, linesOf(t, log.Bytes(), "credential refused", line{
			"session": log.hash(id), "user": log.hash("ada"), "credential": "cookie", "reason": "device",
		}), 1)
		d.Fresh()
		require.Empty(t, linesOf(t, log.Bytes(), "device refused", nil), "a refresh without a proof gets its challenge")
		require.Equal(t, http.StatusBadRequest, d.TryRefresh("no proof").Status)
		log.requireOne(t, "device refused", line{"session": "#" + id, "addr": "192.0.2.7", "via": "http", "reason": "proof"})
		require.NotEqual(t, http.StatusOK, br.NewDevice(offered.Header).TryRegister().Status, "the offer is used up")
		log.requireOne(t, "device refused", line{"session": "#" + id, "addr": "192.0.2.7", "via": "http", "reason": "registration"})
		requireDocumented(t, log.Bytes())
	})
}

// The audit log shows no more of an address than the sessions do.
func TestS15_TheAuditLogShowsTheAddressesThatAreRecorded(t *testing.T) {
	for policy, want := range map[bridge.RecordPolicy]any{
		bridge.RecordFull: "192.0.2.7", bridge.RecordNetwork: "192.0.2.0/24", bridge.RecordOff: nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			a, site, log := auditing(t, bridge.Options{
				RecordAddr: policy, HandshakesPerAddr: bridge.Rate{PerSecond: 1, Burst: 3}, MessagesPerAddr: bridge.Rate{PerSecond: 1},
			})
			br := webclient.NewBrowser(t, site)
			br.OK("/login?user=ada")
			br.OK("/rotate")
			forger := webclient.NewBrowser(t, site)
			forger.SetCookie("sid", "x"+br.Cookie("sid"))
			forger.OK("/get")
			ticket := br.OK("/ticket")
			_, _, err := br.DialTicket("/ws", ticket)
			require.NoError(t, err)
			br.RequireRefused(ticket)
			ws := br.Dial("/ws").Listen()
			closed := ws.WhenClosed()
			ws.Say("get")
			ws.Say("get")
			<-closed
			_, _, err = br.TryDial("/ws", nil)
			require.Error(t, err)
			br.OK("/logout")
			_, err = a.DestroyAll(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			lines := 0
			for text := range bytes.Lines(log.Bytes()) {
				lines++
				if policy != bridge.RecordFull {
					require.NotContains(t, string(text), "192.0.2.7")
				}
				if want != nil && !bytes.Contains(text, []byte(`"via":"api"`)) {
					require.Contains(t, string(text), `"addr":"`+asText(want)+`"`)
				}
			}
			require.GreaterOrEqual(t, lines, 11)
			require.Len(t, linesOf(t, log.Bytes(), "limit exceeded", nil), 2)
		})
	}
}

// On a node that knows a session its end elsewhere is a line, too.
func TestS15_TheAuditLogOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		_, apps := testkit.NewNodes(t, 2, bridge.Options{Audit: slog.New(slog.NewJSONHandler(&log, nil))})
		here := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		there := here.At(apps[1].ServeInMemory(t))
		here.OK("/login?user=ada")
		session := apps[0].LogHash(here.OK("/id"))
		ws := there.Dial("/ws").Listen()
		ws.Ask("get")
		closed := ws.WhenClosed()
		here.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		synctest.Wait()
		for _, via := range []string{"http", "node"} {
			require.Len(t, linesOf(t, log.Bytes(), "session ended", line{
				"session": session, "user": apps[1].LogHash("ada"), "reason": "logout", "via": via,
			}), 1, "via %s in:\n%s", via, log.String())
		}
	})
}

// requireDocumented checks that docs/security.md lists each message and attribute of the log.
func requireDocumented(t *testing.T, log []byte) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/security.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(doc), "## Audit log")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, l := range linesOfAny(t, log) {
		msg := asText(l["msg"])
		_, row, found := strings.Cut(section, "\n| `"+msg+"` |")
		require.True(t, found, "docs/security.md doesn't list %q", msg)
		row, _, _ = strings.Cut(row, "\n")
		for name := range l {
			switch name {
			case "time", "level", "msg", "session", "client", "user", "addr", "via", "suppressed":
			default:
				require.Contains(t, row, "`"+name+"`", "of %q", msg)
			}
		}
	}
}
