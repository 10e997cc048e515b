package credentials_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

var cred = credentials.Session{ID: sessionID, Token: credentials.Token{1, 2, 3}}

// attributes returns what follows the value in the line that sets the named cookie, "" for none.
func attributes(h http.Header, name string) string {
	for _, line := range h["Set-Cookie"] {
		if pair, rest, _ := strings.Cut(line, "; "); strings.HasPrefix(pair, name+"=") {
			return rest
		}
	}
	return ""
}

func TestSessionCookieHasItsAttributes(t *testing.T) {
	strict := func(cfg *config) { cfg.SameSite = http.SameSiteStrictMode }
	domain := func(cfg *config) { cfg.Domain = "example.com" }
	path := func(cfg *config) { cfg.Path = "/app" }
	embedded := func(cfg *config) { cfg.Partitioned = true }
	const secure = "Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
	for name, c := range map[string]struct {
		change   func(*config)
		secure   bool
		lifetime time.Duration
		cookie   string
		want     string
	}{
		"plain HTTP":         {nil, false, time.Hour, "sid", "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
		"HTTPS":              {nil, true, time.Hour, "__Host-sid", secure},
		"domain":             {domain, true, time.Hour, "sid", "Path=/; Domain=example.com; " + secure[len("Path=/; "):]},
		"path":               {path, true, time.Hour, "sid", "Path=/app; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		"strict":             {strict, false, time.Hour, "sid", "Path=/; Max-Age=3600; HttpOnly; SameSite=Strict"},
		"partitioned":        {embedded, true, time.Hour, "__Host-sid", secure + "; Partitioned"},
		"partitioned, HTTP":  {embedded, false, time.Hour, "sid", "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
		"no limit":           {nil, false, 0, "sid", "Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax"},
		"longer than any":    {nil, false, 1 << 62, "sid", "Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax"},
		"less than a second": {nil, false, time.Millisecond, "sid", "Path=/; Max-Age=1; HttpOnly; SameSite=Lax"},
		"until it closes":    {nil, false, credentials.UntilBrowserCloses, "sid", "Path=/; HttpOnly; SameSite=Lax"},
	} {
		x := read(newCodec(c.change), get(), c.secure)
		x.answer.SetSession(cred, c.lifetime)
		h := x.write(t, get())
		require.Equal(t, c.want, attributes(h, c.cookie), name)
		require.NotEmpty(t, attributes(h, c.cookie+".cid"), "%s: no session cookie without its client cookie", name)
		require.Len(t, h["Set-Cookie"], 2, name)
		require.Equal(t, "no-store", h.Get("Cache-Control"), name)
		require.Equal(t, []string{"Cookie"}, h["Vary"], name)
	}
}

func TestRemovalIsForOldClientsToo(t *testing.T) {
	codec := newCodec(nil)
	x := read(codec, request(set(t, codec, true, cred)), true)
	x.answer.RemoveSession()
	h := x.write(t, get())
	require.Equal(t, []string{"__Host-sid=; " +
		"Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}, h["Set-Cookie"])
	require.Equal(t, "no-store", h.Get("Cache-Control"))
}

// Each change is written once, and the last one before a WriteTo counts.
func TestChangesAreWrittenOnce(t *testing.T) {
	codec := newCodec(nil)
	x := read(codec, request(set(t, codec, false, cred)), false)
	require.Equal(t, credentials.Keep, x.answer.Pending().Change)
	require.Empty(t, x.write(t, get())["Set-Cookie"], "nothing has changed")
	x.answer.RemoveSession()
	x.answer.SetSession(cred, time.Hour)
	pending := x.answer.Pending()
	require.Equal(t, credentials.Set, pending.Change)
	require.Equal(t, cred, pending.Session)
	require.WithinRange(t, pending.Decided, time.Now().Add(-time.Minute), time.Now())
	first := x.write(t, get())
	require.NotEmpty(t, attributes(first, "sid"))
	require.Empty(t, x.write(t, get())["Set-Cookie"])
	x.answer.RemoveSession()
	second := x.write(t, get())
	require.Contains(t, attributes(second, "sid"), "Max-Age=0")

	h := http.Header{"Set-Cookie": {"mine=1"}}
	x.answer.CopyTo(h)
	require.Equal(t, slices.Concat([]string{"mine=1"}, first["Set-Cookie"], second["Set-Cookie"]), h["Set-Cookie"])
	x.answer.Forget()
	h = make(http.Header)
	x.answer.CopyTo(h)
	require.Empty(t, h)
}

func TestWithdrawnChangesAreNotWritten(t *testing.T) {
	codec := newCodec(func(cfg *config) { cfg.ClearSiteData = []string{"storage"} })
	x := read(codec, request(set(t, codec, false, cred)), false)
	x.answer.RemoveSession()
	x.answer.ClearSite()
	removal := x.answer.Pending()
	x.answer.Withdraw(removal)
	h := x.write(t, get())
	require.Empty(t, h["Set-Cookie"])
	require.Empty(t, h["Clear-Site-Data"])

	x.answer.SetSession(cred, time.Hour)
	x.answer.Withdraw(removal)
	require.Equal(t, credentials.Set, x.answer.Pending().Change, "another change has followed")
	other := cred
	other.Token[0]++
	pending := x.answer.Pending()
	x.answer.SetSession(other, time.Hour)
	x.answer.Withdraw(pending)
	require.Equal(t, other, x.answer.Pending().Session)
}

// The client cookie is set when the handler asks for the client, or its session is opened, but not
// where a cache would store it.
func TestClientCookieIsSetWhenItIsDue(t *testing.T) {
	eager := func(cfg *config) { cfg.EagerClient = true }
	none := func(cfg *config) { cfg.SameSite = http.SameSiteNoneMode }
	unrolled := func(cfg *config) { cfg.ClientRollEvery = 0 }
	stream := http.Header{"Content-Type": {"text/Event-Stream; charset=utf-8"}}
	public := http.Header{"Cache-Control": {"public"}}
	page, image := get("Sec-Fetch-Dest", "document"), get("Sec-Fetch-Dest", "image")
	foreign := get("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors")
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		change func(*config)
		had    time.Duration // how long ago the cookie that the request has was signed; negative: it has none
		ask    bool
		header http.Header
		to     response
		set    bool
	}{
		"nothing asked for":                   {nil, -1, false, nil, response{}, false},
		"asked for":                           {nil, -1, true, nil, response{}, true},
		"asked for, and there":                {nil, time.Minute, true, nil, response{}, false},
		"asked for, and old":                  {nil, day, true, nil, response{}, true},
		"session opened, and new client":      {nil, -1, false, nil, response{Asked: true, Opened: true}, false},
		"session opened, and old cookie":      {nil, day, false, nil, response{Asked: true, Opened: true}, true},
		"never rolled":                        {unrolled, 100 * day, true, nil, response{}, false},
		"a stream":                            {nil, -1, false, stream, response{}, true},
		"eager, a page":                       {eager, -1, false, nil, response{Request: page}, true},
		"eager, an old browser":               {eager, -1, false, nil, response{Request: get()}, true},
		"eager, an image":                     {eager, -1, false, nil, response{Request: image}, false},
		"eager, after the handler's return":   {eager, -1, false, nil, response{}, false},
		"not modified":                        {nil, -1, true, nil, response{Status: http.StatusNotModified}, false},
		"for caches":                          {nil, -1, true, public, response{}, false},
		"from another site":                   {nil, -1, true, nil, response{Request: foreign}, false},
		"from another site, any request":      {none, -1, true, nil, response{Request: foreign}, false},
		"from another site, known":            {nil, day, true, nil, response{Request: foreign}, false},
		"from another site, known, sent ever": {none, day, true, nil, response{Request: foreign}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				codec := newCodec(c.change)
				r := get()
				if c.had >= 0 {
					r = request(set(t, codec, false, cred))
					time.Sleep(c.had)
				}
				x := read(codec, r, false)
				require.Equal(t, c.had < 0, x.answer.ClientIsNew())
				require.Equal(t, clientID, x.answer.ClientID())
				if c.ask {
					x.answer.AskClient()
				}
				h := c.header.Clone()
				if h == nil {
					h = make(http.Header)
				}
				effects, err := x.answer.WriteTo(h, c.to)
				require.NoError(t, err)
				require.Zero(t, effects)
				require.Equal(t, c.set, attributes(h, "sid.cid") != "")
				require.Empty(t, attributes(h, "sid"))
				if c.set {
					require.Contains(t, h.Get("Cache-Control"), "no-store")
				}
				require.Equal(t, c.set || c.ask || c.to.Asked, len(h["Vary"]) > 0)
			})
		})
	}
}

// The session's client counts, and its cookie is set where the browser has none of it.
func TestClientOfTheSessionIsAdopted(t *testing.T) {
	codec := newCodec(nil)
	have := set(t, codec, false, cred)
	x := read(codec, request(jar{"sid": have["sid"]}), false)
	x.answer.AdoptClient(someClient)
	require.False(t, x.answer.ClientIsNew())
	j := make(jar)
	j.take(t, x.write(t, get()))
	require.Equal(t, someClient, read(codec, request(j), false).presented.Clients[0].ID)

	codec = newCodec(func(cfg *config) { cfg.TokenFrom = credentials.TokenFromHeader("Authorization") })
	x = read(codec, get("Authorization", have["sid"]), false)
	x.answer.AdoptClient(someClient)
	require.Equal(t, someClient, x.answer.ClientID())
	require.Empty(t, x.write(t, get())["Set-Cookie"], "a client with a token does without cookies")
}

// A request that another site has caused comes without cookies that the browser may have: they are
// not replaced.
func TestWithheldCookiesAreNotReplaced(t *testing.T) {
	post := func(header ...string) *http.Request {
		r := get(header...)
		r.Method = http.MethodPost
		return r
	}
	foreign := post("Sec-Fetch-Site", "cross-site")
	none := func(cfg *config) { cfg.SameSite = http.SameSiteNoneMode }
	strict := func(cfg *config) { cfg.SameSite = http.SameSiteStrictMode }
	link := get("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	for name, c := range map[string]struct {
		change   func(*config)
		remove   bool
		to       response
		withheld bool
	}{
		"a guest's session":              {nil, false, response{Request: foreign, Created: true, Guest: true}, true},
		"a user's session":               {nil, false, response{Request: foreign, Created: true}, false},
		"a session that was opened":      {nil, false, response{Request: foreign}, false},
		"of this site":                   {nil, false, response{Request: post(), Created: true, Guest: true}, false},
		"cookies that are always sent":   {none, false, response{Request: foreign, Created: true, Guest: true}, false},
		"a created session's removal":    {nil, true, response{Request: foreign, Created: true}, true},
		"an opened session's removal":    {nil, true, response{Request: foreign}, false},
		"after the return of a handler":  {nil, false, response{Created: true, Guest: true}, false},
		"a link of another site, strict": {strict, false, response{Request: link, Created: true, Guest: true}, true},
	} {
		codec := newCodec(func(cfg *config) {
			cfg.ClearSiteData = []string{"cache", "storage"}
			if c.change != nil {
				c.change(cfg)
			}
		})
		x := read(codec, get(), false)
		if c.remove {
			x.answer.RemoveSession()
			x.answer.ClearSite()
		} else {
			x.answer.SetSession(cred, time.Hour)
		}
		h := make(http.Header)
		effects, err := x.answer.WriteTo(h, c.to)
		require.NoError(t, err)
		require.Equal(t, c.withheld, effects.Withheld, name)
		require.Equal(t, !c.withheld, attributes(h, "sid") != "", name)
		clears := []string{`"cache", "storage"`}
		if !c.remove || c.withheld {
			clears = nil
		}
		require.Equal(t, clears, h["Clear-Site-Data"], name)
		require.Equal(t, credentials.Keep, x.answer.Pending().Change, name)
	}
}

func TestClearSiteDataOfTheHandlerStays(t *testing.T) {
	x := read(newCodec(func(cfg *config) { cfg.ClearSiteData = []string{"*"} }), get(), false)
	x.answer.ClearSite()
	h := http.Header{"Clear-Site-Data": {`"cache"`}}
	_, err := x.answer.WriteTo(h, response{})
	require.NoError(t, err)
	require.Equal(t, []string{`"cache"`}, h["Clear-Site-Data"])
}

// A handler that lets caches store its response is overruled by a credential in it.
func TestCachesDontStoreCredentials(t *testing.T) {
	for name, do := range map[string]func(*credentials.Answer){
		"a cookie":       func(a *credentials.Answer) { a.SetSession(cred, time.Hour) },
		"a removal":      func(a *credentials.Answer) { a.RemoveSession() },
		"another secret": func(a *credentials.Answer) { a.SetPrivate() },
	} {
		x := read(newCodec(nil), get(), false)
		do(&x.answer)
		h := http.Header{"Cache-Control": {"public"}}
		effects, err := x.answer.WriteTo(h, response{})
		require.NoError(t, err)
		require.True(t, effects.Overruled, name)
		require.Equal(t, "private, no-store", h.Get("Cache-Control"), name)
	}
}

func TestTokenGoesInItsHeader(t *testing.T) {
	own := func(r *http.Request) (string, bool) { return r.Header.Get("X-Mine"), true }
	with := func(from credentials.TokenFrom) *credentials.Codec {
		return newCodec(func(cfg *config) { cfg.TokenFrom = from })
	}
	codec := with(credentials.TokenFromHeader("Authorization"))
	x := read(codec, get("Authorization", "Bearer"), false)
	x.answer.AskClient()
	h := x.write(t, get())
	require.Equal(t, http.Header{"Vary": {"Authorization"}}, h, "there is no credential in it")

	x.answer.SetSession(cred, time.Hour)
	h = x.write(t, get())
	token := h.Get(credentials.TokenHeader)
	require.Equal(t, http.Header{"Session-Token": {token}, "Vary": {"Authorization"}, "Cache-Control": {"no-store"}}, h)
	require.NotContains(t, token, "=")
	got := read(codec, get("Authorization", "Bearer "+token), false)
	require.Equal(t, cred.Token, got.presented.Sessions[0].Token)
	copied := make(http.Header)
	x.answer.CopyTo(copied)
	require.Equal(t, http.Header{"Session-Token": {token}}, copied)

	got.answer.RemoveSession()
	h = got.write(t, get())
	require.Equal(t, []string{""}, h[credentials.TokenHeader], "it is to be forgotten")

	h = read(codec, get(), false).write(t, get())
	require.Equal(t, []string{"Cookie", "Authorization"}, h["Vary"], "a request with a token has another response")

	x = read(with(own), get("X-Mine", ""), false)
	h = x.write(t, get())
	require.Equal(t, http.Header{"Vary": {"*"}, "Cache-Control": {"no-store"}}, h,
		"the headers that a function reads are unknown")

	x = read(codec, get("Sec-WebSocket-Protocol", "sessionbridge.ticket.xyz"), false)
	x.answer.SetSession(cred, time.Hour)
	require.Empty(t, x.write(t, get())[credentials.TokenHeader], "a ticket's client has no token")
}

func TestSessionThatCannotBeNamedIsAnError(t *testing.T) {
	for _, c := range []*exchange{
		read(newCodec(nil), get(), false),
		read(newCodec(func(cfg *config) { cfg.TokenFrom = credentials.TokenFromHeader("A") }), get("A", ""), false),
	} {
		c.answer.SetSession(credentials.Session{ID: "no UUID"}, time.Hour)
		h := make(http.Header)
		_, err := c.answer.WriteTo(h, response{})
		require.Error(t, err)
		require.Empty(t, attributes(h, "sid"))
		require.Empty(t, h[credentials.TokenHeader])
	}
}

func TestDerivedRequestsAreCompared(t *testing.T) {
	codec := newCodec(func(cfg *config) { cfg.TokenFrom = credentials.TokenFromHeader("Authorization") })
	have, other := set(t, codec, false, cred), set(t, codec, false, cred)
	other["sid"] = strings.ToLower(have["sid"])
	byCookies, byToken := request(have), get("Authorization", "abc")
	byTicket := get("Sec-WebSocket-Protocol", "sessionbridge.ticket.xyz")
	for name, c := range map[string]struct {
		outer, r *http.Request
		differs  bool
	}{
		"the same headers":         {byCookies, byCookies.WithContext(t.Context()), false},
		"a copy":                   {byCookies, byCookies.Clone(t.Context()), false},
		"none":                     {byCookies, get(), false},
		"other headers":            {byCookies, get("Cookie", "theme=dark"), false},
		"another session":          {byCookies, request(other), true},
		"only the client":          {byCookies, request(jar{"sid.cid": have["sid.cid"]}), true},
		"a token instead":          {byCookies, byToken, true},
		"a ticket instead":         {byCookies, byTicket, true},
		"the same token":           {byToken, byToken.Clone(t.Context()), false},
		"an empty token":           {byToken, get("Authorization", "Bearer"), false},
		"another token":            {byToken, get("Authorization", "abd"), true},
		"the same ticket":          {byTicket, byTicket.Clone(t.Context()), false},
		"another ticket":           {byTicket, get("Sec-WebSocket-Protocol", "sessionbridge.ticket.xyy"), true},
		"cookies instead of token": {byToken, byCookies, true},
	} {
		require.Equal(t, c.differs, read(codec, c.outer, false).presented.Differs(c.outer, c.r), name)
	}
}

func TestSecretsAreRemovedFromTheOffers(t *testing.T) {
	codec := newCodec(func(cfg *config) { cfg.TokenFrom = credentials.TokenFromProtocol("") })
	for _, c := range []struct {
		offers, left []string
		answer       string
	}{
		{nil, nil, ""},
		{[]string{"chat, sessionbridge"}, []string{"chat, sessionbridge"}, ""},
		{[]string{"sessionbridge, sessionbridge.token.abc"}, []string{"sessionbridge"}, "sessionbridge"},
		{[]string{"sessionbridge.ticket.abc", "sessionbridge"}, []string{"sessionbridge"}, "sessionbridge"},
		{[]string{"sessionbridge.ticket.abc"}, nil, ""},
		{[]string{"sessionbridge.token.abc,chat", "sessionbridge"}, []string{"chat, sessionbridge"}, ""},
		{[]string{"sessionbridge.ticket.a, sessionbridge.ticket.b, chat"}, []string{"chat"}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		if c.offers != nil {
			r.Header["Sec-Websocket-Protocol"] = c.offers
		}
		answer := make(http.Header)
		read(codec, r, false).presented.HideOffers(r, answer)
		require.Equal(t, c.left, r.Header["Sec-Websocket-Protocol"], "%v", c.offers)
		require.Equal(t, c.answer, answer.Get("Sec-Websocket-Protocol"), "%v", c.offers)
	}
}
