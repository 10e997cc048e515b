package security_test

import (
	"net/http"
	"net/http/httptest"
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

// spoiled returns damaged forms of a cookie's value, by their kind.
func spoiled(value string) map[string]string {
	middle := len(value) / 2
	return map[string]string{
		"empty":        "",
		"garbage":      "garbage",
		"first half":   value[:middle],
		"second half":  value[middle:],
		"one less":     value[:len(value)-1],
		"one more":     value + "A",
		"twice":        value + value,
		"flipped":      value[:middle] + string(value[middle]^1) + value[middle+1:],
		"upper case":   strings.ToUpper(value),
		"oversized":    strings.Repeat("A", 10_000),
		"right length": strings.Repeat("A", len(value)),
	}
}

func TestS2_SpoiledSessionCookieOpensNothingAndFailsNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	owner := webclient.Pocket{}
	owner.Get(t, h, "/inc")
	for name, value := range spoiled(owner["sid"]) {
		t.Run(name, func(t *testing.T) {
			w := webclient.Pocket{"sid": value, "sid.cid": owner["sid.cid"]}.Get(t, h, "/get")
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "0", w.Body.String())
			require.Empty(t, w.Header()["Set-Cookie"], "a cookie is set only for what is stored")
		})
	}
	require.Equal(t, "1", owner.Get(t, h, "/get").Body.String())
}

func TestSpoiledClientCookieMakesANewClient(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Page("/client", func(r *http.Request) (any, error) { id, _ := bridge.ClientIDFrom(r.Context()); return id, nil })
	h := a.Handler(a.Mux)
	owner := webclient.Pocket{}
	client := owner.Get(t, h, "/client").Body.String()
	require.Equal(t, client, owner.Get(t, h, "/client").Body.String())
	for name, value := range spoiled(owner["sid.cid"]) {
		t.Run(name, func(t *testing.T) {
			other := webclient.Pocket{"sid.cid": value}
			w := other.Get(t, h, "/client")
			require.Equal(t, http.StatusOK, w.Code)
			require.NotEqual(t, client, w.Body.String())
			require.Equal(t, w.Body.String(), other.Get(t, h, "/client").Body.String(), "it has a good cookie now")
		})
	}
}

func TestCookieIsGoodOnlyForWhatItWasSignedFor(t *testing.T) {
	st := livestore.New()
	make1 := func(opts *bridge.Options) http.Handler { a := testkit.NewApp(t, st, opts); return a.Handler(a.Mux) }
	key, other := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))
	h := make1(&bridge.Options{Keys: [][]byte{key}})
	owner := webclient.Pocket{}
	owner.Get(t, h, "/inc")
	sid, cid := owner["sid"], owner["sid.cid"]
	for name, c := range map[string]struct {
		h    http.Handler
		have webclient.Pocket
	}{
		"client cookie as session cookie":           {h, webclient.Pocket{"sid": cid, "sid.cid": cid}},
		"session cookie as client cookie":           {h, webclient.Pocket{"sid.cid": sid}},
		"swapped":                                   {h, webclient.Pocket{"sid": cid, "sid.cid": sid}},
		"another key":                               {make1(&bridge.Options{Keys: [][]byte{other}}), webclient.Pocket{"sid": sid, "sid.cid": cid}},
		"another name":                              {make1(&bridge.Options{Keys: [][]byte{key}, Name: "app"}), webclient.Pocket{"app": sid, "app.cid": cid}},
		"under the name that is for the other site": {h, webclient.Pocket{"__Host-sid": sid, "__Host-sid.cid": cid}},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.have.Get(t, c.h, "/inc")
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "1", w.Body.String(), "a new session")
		})
	}
	require.Equal(t, "2", owner.Get(t, h, "/inc").Body.String())
}

// A page on a sibling domain can set cookies with the same names ("cookie tossing"), and choose
// whether they come first or last.
func TestTossedCookiesDontHideTheGoodOne(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	owner := webclient.Pocket{}
	owner.Get(t, h, "/inc")
	good := "sid=" + owner["sid"] + "; sid.cid=" + owner["sid.cid"]
	bad := "sid=forged; sid.cid=forged"
	for name, header := range map[string]string{
		"bad first": bad + "; " + good, "good first": good + "; " + bad, "seven bad first": strings.Repeat(bad+"; ", 7) + good,
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/get", nil)
			r.Header.Set("Cookie", header)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, "1", w.Body.String())
			require.Empty(t, w.Header()["Set-Cookie"], "the client is known, too")
		})
	}
	t.Run("a request can't make us verify for ever", func(t *testing.T) {
		forged := "sid=" + strings.Repeat("A", len(owner["sid"])) + "; "
		for junk, want := range map[string]string{bad + "; ": "1", forged: "0"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/get", nil)
			r.Header.Set("Cookie", strings.Repeat(junk, 300)+good)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, want, w.Body.String(), "only so many signatures of one name are checked")
		}
	})
}

func TestS6_StrictBindingRefusesAnotherClientsSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{StrictBinding: true, EagerClient: true})
	h := a.Handler(a.Mux)
	owner, other := webclient.Pocket{}, webclient.Pocket{}
	owner.Get(t, h, "/inc")
	other.Get(t, h, "/plain")
	for name, thief := range map[string]webclient.Pocket{
		"another client": {"sid": owner["sid"], "sid.cid": other["sid.cid"]}, "no client cookie": {"sid": owner["sid"]},
	} {
		before := a.Stats().Mismatches
		require.Equal(t, "1", thief.Get(t, h, "/inc").Body.String(), name)
		require.NotEqual(t, owner["sid"], thief["sid"], name)
		require.Equal(t, before+1, a.Stats().Mismatches, name)
	}
	require.Equal(t, "2", owner.Get(t, h, "/inc").Body.String())
}

func TestSessionWithoutClientCookieIsHealed(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	owner := webclient.Pocket{}
	id := func() string { return owner.Get(t, h, "/id").Body.String() }
	owner.Get(t, h, "/inc")
	was := id()
	delete(owner, "sid.cid")
	require.Equal(t, was, id())
	require.NotEmpty(t, owner["sid.cid"])
	require.EqualValues(t, 1, a.Stats().Mismatches)
	require.Equal(t, was, id())
	require.EqualValues(t, 1, a.Stats().Mismatches, "it is right from then on")
}

func TestCookiesOutliveTheSigningLibrarysThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			IdleTimeout: 60 * day, Lifetime: bridge.Off, ClientMaxAge: 90 * day, ClientRollEvery: bridge.Off,
		})
		a.Page("/client", func(r *http.Request) (any, error) { id, _ := bridge.ClientIDFrom(r.Context()); return id, nil })
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		client := visitor.Get(t, h, "/client").Body.String()
		visitor.Get(t, h, "/inc")
		time.Sleep(50 * day)
		require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String())
		require.Equal(t, client, visitor.Get(t, h, "/client").Body.String())
		delete(visitor, "sid")
		time.Sleep(41 * day)
		require.NotEqual(t, client, visitor.Get(t, h, "/client").Body.String(), "its own age is checked by the server")
	})
}
