package sessionproxy_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

func TestTrustedBackendLogsInAndOutAndSetsValues(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{
		TrustBackend: true, Headers: admin.ForwardAuth{Values: map[string]string{"X-Name": "name"}},
	})
	br := webclient.NewBrowser(t, p.site)
	p.order("/plain", "X-Name", "a header like any other")
	require.Equal(t, "a header like any other", br.Get("/plain").Header.Get("X-Name"))
	rep := br.Get("/login")
	require.Equal(t, "done", rep.Body)
	for name := range rep.Header {
		require.NotContains(t, name, "X-Session")
	}
	require.Contains(t, rep.Header.Get("Cache-Control"), "no-store")
	require.Equal(t, "ada Ω", p.session(br).UserID())

	require.NoError(t, p.b.UpdateByID(t.Context(), p.session(br).ID(), set("old", 1)))
	require.Equal(t, http.StatusOK, br.Get("/cart").Status)
	p.order("/more", "X-Session-Set", `{"cart":{"milk":2}}`)
	require.Equal(t, http.StatusOK, br.Get("/more").Status)
	values := map[string]json.RawMessage{}
	require.NoError(t, p.session(br).Decode(&values))
	require.Equal(t, `"Ada 100%"`, string(values["name"]))
	require.JSONEq(t, `{"tea":1,"milk":2}`, string(values["cart"]))
	require.NotContains(t, values, "old")

	id, cookie := p.session(br).ID(), br.Cookie("sid")
	require.Equal(t, http.StatusOK, br.Get("/logout").Status)
	_, err := p.b.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	br.SetCookie("sid", cookie)
	require.Empty(t, p.headers(br).Get("X-Session-Id"))
}

// A guest gets a session with its first value.
func TestGuestGetsASession(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	br := webclient.NewBrowser(t, p.site)
	require.Equal(t, http.StatusOK, br.Get("/cart").Status)
	require.Empty(t, p.session(br).UserID())
}

func TestBackendIsNotTrustedByDefault(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	br := webclient.NewBrowser(t, p.site)
	id := p.login(br, "bob")
	for _, path := range []string{"/login", "/cart", "/logout"} {
		require.Equal(t, "done", br.Get(path).Body)
	}
	s := p.session(br)
	require.Equal(t, id, s.ID())
	require.Equal(t, "bob", s.UserID())
	_, found := s.Get("cart")
	require.False(t, found)
}

// An answer that can't be obeyed as a whole changes nothing, and doesn't look like one that was.
func TestOrdersThatAreInvalidChangeNothing(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	br := webclient.NewBrowser(t, p.site)
	id := p.login(br, "bob")
	good := url.PathEscape(`{"a":1}`)
	for name, headers := range map[string][]string{
		"unknown header":  {"X-Session-Logut", "1"},
		"echoed":          {"X-Session-User", "bob"},
		"two users":       {"X-Session-Login", "ada", "X-Session-Login", "eve"},
		"no user":         {"X-Session-Login", ""},
		"bad encoding":    {"X-Session-Login", "100%"},
		"NUL":             {"X-Session-Login", "a%00"},
		"logout 0":        {"X-Session-Logout", "0"},
		"in and out":      {"X-Session-Login", "ada", "X-Session-Logout", "1"},
		"out and set":     {"X-Session-Logout", "1", "X-Session-Set", good},
		"no object":       {"X-Session-Set", "[1]"},
		"duplicate names": {"X-Session-Set", url.PathEscape(`{"a":1,"a":2}`)},
		"good and bad":    {"X-Session-Set", good, "X-Session-Login", ""},
		"second grant":    {"X-Session-Grant", "x", "X-Session-Login", "ada"},
		"two spellings":   {"X-Session-Login", "ada", "X_Session_Login", "eve"},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/bad/" + strings.Map(func(r rune) rune {
				if r == ' ' || r == ',' {
					return -1
				}
				return r
			}, name)
			p.order(path, headers...)
			rep := br.Get(path)
			require.Equal(t, http.StatusBadGateway, rep.Status)
			require.NotContains(t, rep.Body, "done")
			s := p.session(br)
			require.Equal(t, id, s.ID())
			require.Equal(t, "bob", s.UserID())
			_, found := s.Get("a")
			require.False(t, found)
		})
	}
}

// A backend that passes on the headers of another server's answer logs nobody in: they lack the
// grant of the request.
func TestOrdersNeedTheGrantOfTheRequest(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	br := webclient.NewBrowser(t, p.site)
	old := p.headers(br).Get("X-Session-Grant")
	require.NotEmpty(t, old)
	for _, grant := range []string{"", "guess", old} {
		path := "/fetched/" + grant
		p.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if grant != "" {
				w.Header().Set("X-Session-Grant", grant)
			}
			w.Header().Set("X-Session-Login", "root")
		})
		require.Equal(t, http.StatusBadGateway, br.Get(path).Status, grant)
		require.Empty(t, p.headers(br).Get("X-Session-User"))
	}
}
