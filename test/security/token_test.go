package security_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// sessionCookie returns the content of a session cookie: the session's ID and its token.
func sessionCookie(t *testing.T, key []byte, value string) (id string, token [16]byte) {
	t.Helper()
	var signed []byte
	require.NoError(t, securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{}).Decode("sid", value, &signed))
	raw, err := base64.RawURLEncoding.DecodeString(string(signed))
	require.NoError(t, err)
	require.Len(t, raw, 16+16)
	return uuid.UUID(raw[:16]).String(), [16]byte(raw[16:])
}

// requireSecret checks that no field of the record contains the token, in any encoding.
func requireSecret(t *testing.T, token [16]byte, rec store.Record) {
	t.Helper()
	written := [][]byte{
		token[:], []byte(hex.EncodeToString(token[:])), []byte(base64.RawStdEncoding.EncodeToString(token[:])),
		[]byte(base64.RawURLEncoding.EncodeToString(token[:])), []byte(uuid.UUID(token).String()),
	}
	id := uuid.MustParse(rec.ID)
	client := uuid.MustParse(rec.ClientID)
	fields := map[string][]byte{"the ID's bytes": id[:], "the client ID's bytes": client[:]}
	v := reflect.ValueOf(rec)
	for i := range v.NumField() {
		name, value := v.Type().Field(i).Name, v.Field(i).Interface()
		switch value := value.(type) {
		case []byte:
			fields[name] = value
		case store.TokenHash:
			fields[name] = value[:]
		case store.WriteID:
			fields[name] = value[:]
		default:
			fields[name] = fmt.Append(nil, value)
		}
	}
	for name, field := range fields {
		for _, w := range written {
			require.False(t, bytes.Contains(field, w), "%s has the token in it", name)
		}
	}
}

// ASVS 7.2.3: 128 bits of randomness. The store has only its SHA-256, so a reader of the store
// opens nothing.
func TestS1_TokenIs128RandomBitsThatTheStoreDoesNotHave(t *testing.T) {
	key := testkit.Key()
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{key}})
	h := a.Handler(a.Mux)
	seen := make(map[[16]byte]bool)
	var ones, zeros [16]byte // bits that have been 1, and 0
	for range 64 {
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id, token := sessionCookie(t, key, visitor["sid"])
		require.Equal(t, id, visitor.Get(t, h, "/id").Body.String())
		rec := teststore.Stored(t, st, id)
		require.Equal(t, store.TokenHash(sha256.Sum256(token[:])), rec.TokenHash)
		require.True(t, rec.PrevTokenHash.IsZero())
		requireSecret(t, token, rec)
		require.False(t, seen[token])
		seen[token] = true
		for i, b := range token {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	all := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	require.Equal(t, all, ones, "a bit that is always 0 is not random")
	require.Equal(t, all, zeros, "nor one that is always 1")
}

func TestEachNewTokenIsUnrelatedToTheLastOne(t *testing.T) {
	key := testkit.Key()
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{key}})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	id, last := sessionCookie(t, key, visitor["sid"])
	for _, path := range []string{"/rotate", "/login?user=ada", "/rotate"} {
		visitor.Get(t, h, path)
		same, token := sessionCookie(t, key, visitor["sid"])
		require.Equal(t, id, same, "the ID is stable")
		for i := range token { // a byte in common is chance, four in a row are not
			if i+4 <= len(token) {
				require.False(t, bytes.Contains(last[:], token[i:i+4]))
			}
		}
		rec := teststore.Stored(t, st, id)
		require.Equal(t, store.TokenHash(sha256.Sum256(token[:])), rec.TokenHash)
		require.Equal(t, store.TokenHash(sha256.Sum256(last[:])), rec.PrevTokenHash)
		requireSecret(t, token, rec)
		requireSecret(t, last, rec)
		last = token
	}
}

func tokens() *bridge.Options {
	return &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization"), Keys: [][]byte{testkit.Key()}}
}

// A program keeps a token instead of cookies, over both transports, through a login, a rotation and
// a logout.
func TestClientWithoutCookies(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, tokens())
	n := newNative(t, a.Serve(t))
	require.Equal(t, "plain", n.ok("/plain"))
	require.Equal(t, "0", n.ok("/get"))
	require.Empty(t, n.token, "nothing is stored yet")
	require.Equal(t, "1", n.ok("/inc"))
	first := n.token
	require.NotEmpty(t, first)
	require.NotContains(t, first, "=")
	id := n.ok("/id")
	ws := n.dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	require.Equal(t, "3", n.ok("/inc"))
	require.Equal(t, first, n.token, "the token is sent when it changes")

	n.ok("/login?user=ada")
	require.NotEqual(t, first, n.token)
	require.Equal(t, bridge.CodeReconnect, ws.Closed())
	require.Equal(t, "ada", teststore.Stored(t, st, id).UserID)
	thief := &native{t: t, br: n.br, token: first}
	require.Equal(t, http.StatusConflict, thief.get("/get").Status, "the old token opens nothing")
	ws = n.dial("/ws")
	require.Equal(t, "4", ws.Ask("inc"))
	second := n.token
	n.ok("/rotate")
	require.NotEqual(t, second, n.token)
	require.Equal(t, "5", ws.Ask("inc"), "a plain rotation keeps sockets")

	n.ok("/logout")
	require.Empty(t, n.token, "to be forgotten")
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
	require.Equal(t, "0", n.ok("/get"))
	require.Zero(t, a.Stats().Mismatches)
}

func TestClientWithoutCookiesHasItsSessionsClient(t *testing.T) {
	opts := tokens()
	opts.StrictBinding = true
	st := livestore.New()
	a := testkit.NewApp(t, st, opts)
	a.Page("/client", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		id, _ := bridge.ClientIDFrom(r.Context())
		require.Equal(t, s.ClientID(), id)
		return id, nil
	})
	site := a.Serve(t)
	one, two := newNative(t, site), newNative(t, site)
	one.ok("/inc")
	two.ok("/inc")
	mine := one.ok("/client")
	require.Equal(t, mine, teststore.Stored(t, st, one.ok("/id")).ClientID)
	require.Equal(t, mine, one.ok("/client"))
	require.NotEqual(t, mine, two.ok("/client"), "each session is a client of its own")
}

// The token is the value of the session cookie, so a session can move from one to the other.
func TestTokenIsTheCookiesValue(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), tokens())
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	n := newNative(t, site)
	n.token = strings.TrimRight(br.Cookie("sid"), "=")
	require.Equal(t, "2", n.ok("/inc"))
	n.token = br.Cookie("sid")
	require.Equal(t, "3", n.ok("/inc"), "its padding does no harm")
	require.Equal(t, "4", br.OK("/inc"), "browsers go on with cookies")
	require.Zero(t, a.Stats().Mismatches)
}

func TestWhoPresentsATokenGetsNoHearingForCookies(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), tokens())
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	rep := br.Get("/get", "Authorization", "Bearer")
	require.Equal(t, "0", rep.Body)
	require.Empty(t, rep.Header["Set-Cookie"])
	require.Equal(t, "1", br.Get("/get", "Authorization", "Basic YTpi").Body, "another scheme is none of ours")
}

func TestTokenInTheURLOpensNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), tokens())
	n := newNative(t, a.Serve(t))
	n.ok("/inc")
	for _, name := range []string{"token", "access_token", "sid", "Session-Token", "session_token", "ticket", "Authorization"} {
		require.Equal(t, "0", n.br.Get("/get?"+name+"="+n.token).Body, name)
	}
}

func TestHeadersThatATokenMayStandIn(t *testing.T) {
	from := bridge.TokenFromHeader("x-session")
	for _, c := range []struct {
		header map[string][]string
		token  string
		ok     bool
	}{
		{nil, "", false},
		{map[string][]string{"X-Session": {""}}, "", true},
		{map[string][]string{"X-Session": {"abc"}}, "abc", true},
		{map[string][]string{"X-Session": {" bearer  abc "}}, "abc", true},
		{map[string][]string{"X-Session": {"BEARER"}}, "", true},
		{map[string][]string{"X-Session": {"bearerabc"}}, "bearerabc", true},
		{map[string][]string{"X-Session": {"Digest abc"}}, "", false},
		{map[string][]string{"X-Session": {"a", "b"}}, "a", true},
		{map[string][]string{"Authorization": {"Bearer abc"}}, "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		maps.Copy(r.Header, c.header)
		token, ok := from(r)
		require.Equal(t, c.ok, ok, "%v", c.header)
		if ok {
			require.Equal(t, c.token, token, "%v", c.header)
		}
	}
	for _, c := range []struct {
		offers []string
		token  string
		ok     bool
	}{
		{nil, "", false},
		{[]string{"chat"}, "", false},
		{[]string{"sessionbridge"}, "", false},
		{[]string{"sessionbridge.token."}, "", true},
		{[]string{"chat, sessionbridge , sessionbridge.token.abc"}, "abc", true},
		{[]string{"chat", "sessionbridge.token.abc"}, "abc", true},
		{[]string{"Sessionbridge.token.abc"}, "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header["Sec-Websocket-Protocol"] = c.offers
		token, ok := bridge.TokenFromProtocol("")(r)
		require.Equal(t, c.ok, ok, "%v", c.offers)
		require.Equal(t, c.token, token, "%v", c.offers)
	}
}

// A cache must not give one client's answer to another, whichever header has the token.
func TestS16_ResponsesToTokensAreNotMixedUp(t *testing.T) {
	opts := tokens()
	a := testkit.NewApp(t, livestore.New(), opts)
	n := newNative(t, a.Serve(t))
	rep := n.get("/inc")
	require.Equal(t, "no-store", rep.Header.Get("Cache-Control"))
	require.Equal(t, []string{"Authorization"}, rep.Header["Vary"])
	rep = n.get("/get")
	require.Equal(t, []string{"Authorization"}, rep.Header["Vary"])
	require.Empty(t, rep.Header.Get("Cache-Control"), "nothing to be kept in it")
	require.Empty(t, n.get("/plain").Header["Vary"])
	rep = n.br.Get("/get")
	require.ElementsMatch(t, []string{"Cookie", "Authorization"}, rep.Header["Vary"], "with a token it would be another")

	opts.TokenFrom = func(r *http.Request) (string, bool) { return r.Header.Get("X-Mine"), true }
	a = testkit.NewApp(t, livestore.New(), opts)
	rep = newNative(t, a.Serve(t)).br.Get("/get")
	require.Equal(t, "no-store", rep.Header.Get("Cache-Control"), "the headers that it depends on are unknown")
}

func TestTokenOfAFailedCommitIsNotSent(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, tokens())
	n := newNative(t, a.Serve(t))
	st.Next(1, "Set", teststore.Refuse(http.ErrAbortHandler))
	require.Equal(t, http.StatusServiceUnavailable, n.get("/login?user=ada").Status)
	require.Empty(t, n.token)
	n.ok("/inc")
	token := n.token
	a.Mux.HandleFunc("/endedby", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		_, err = a.DestroyByID(r.Context(), s.ID())
		require.NoError(t, err)
		s.Set("late", true)
	})
	require.NotEmpty(t, token)
	require.Equal(t, http.StatusUnauthorized, n.get("/endedby").Status)
	require.Equal(t, token, n.token, "only the request that ends its session has its client forget the token")
}

func TestS04_TokenWithoutCookiesIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := tokens()
		opts.RenewEvery = time.Hour
		a := testkit.NewApp(t, livestore.New(), opts)
		n := newNative(t, a.ServeInMemory(t))
		n.ok("/inc")
		first := n.token
		time.Sleep(time.Hour)
		require.Equal(t, "1", n.ok("/get"))
		require.NotEqual(t, first, n.token)
		require.Equal(t, "2", n.ok("/inc"))
	})
}

// A script's socket can't set headers: the token is sent among the subprotocols, and the server
// doesn't select it.
func TestTokenAmongTheSubprotocols(t *testing.T) {
	opts := tokens()
	opts.TokenFrom = func(r *http.Request) (string, bool) {
		if token, ok := bridge.TokenFromProtocol("")(r); ok {
			return token, ok
		}
		return bridge.TokenFromHeader("Authorization")(r)
	}
	a := testkit.NewApp(t, livestore.New(), opts)
	a.Mux.Handle("/chat", a.WebSocket(testkit.Converse, &bridge.ConnOptions{Subprotocols: []string{"chat.v2", "chat.v1"}}))
	n := newNative(t, a.Serve(t))
	n.ok("/inc")
	secret := "sessionbridge.token." + n.token
	for _, c := range []struct {
		path, want string
		offers     []string
	}{
		{"/ws", "sessionbridge", []string{"sessionbridge", secret}},
		{"/ws", "sessionbridge", []string{secret, "sessionbridge"}},
		{"/ws", "", []string{secret}},
		{"/ws", "", []string{secret, "chat.v1"}},
		{"/chat", "chat.v1", []string{secret, "sessionbridge", "chat.v1"}},
		{"/chat", "chat.v2", []string{secret, "chat.v1", "chat.v2"}},
	} {
		ws, res, err := n.br.DialOffering(c.path, []string{c.want}, c.offers...)
		require.NoError(t, err, "%v", c.offers)
		require.Equal(t, c.want, res.Header.Get("Sec-Websocket-Protocol"))
		require.NotEqual(t, `""`, ws.Ask("id"))
	}
	ws, _, err := n.br.DialOffering("/ws", []string{"sessionbridge"}, "sessionbridge", "sessionbridge.token."+n.token[1:])
	require.NoError(t, err)
	require.Equal(t, `""`, ws.Ask("id"), "a token that opens nothing is as good as none")
}

// FuzzToken: no text that is presented as a token panics, and only an issued token opens a session.
func FuzzToken(f *testing.F) {
	a := testkit.NewApp(f, livestore.New(), tokens())
	h := a.Handler(a.Mux)
	send := func(ctx context.Context, path, value string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		r.Header["Authorization"] = []string{value}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	token := send(f.Context(), "/inc", "Bearer").Header().Get(bridge.SessionTokenHeader)
	require.Equal(f, "1", send(f.Context(), "/get", token).Body.String())
	for _, seed := range []string{"", "Bearer ", token, token + "=", token[1:], token[:len(token)-1], strings.ToLower(token), strings.Repeat("A", 600), "a b", "=", "\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		w := send(t.Context(), "/get", value)
		require.Equal(t, http.StatusOK, w.Code)
		if w.Body.String() != "0" { // base64 has a few texts for the same bytes
			plain := strings.NewReplacer("\r", "", "\n", "").Replace(value)
			require.Contains(t, plain, token[:len(token)-1], "only the token opens it")
		}
	})
}
