package credentials_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

func TestIssuedCookiesAreRead(t *testing.T) {
	domain := func(cfg *config) { cfg.Domain = "example.com" }
	path := func(cfg *config) { cfg.Path = "/app" }
	prefix := func(cfg *config) { cfg.Name, cfg.ClientName = "__Secure-sid", "__Secure-cid" }
	for name, c := range map[string]struct {
		change       func(*config)
		secure       bool
		sid, sidName string
	}{
		"over plain HTTP":          {nil, false, "sid", "sid.cid"},
		"over HTTPS":               {nil, true, "__Host-sid", "__Host-sid.cid"},
		"with a domain":            {domain, true, "sid", "sid.cid"},
		"with a path":              {path, true, "sid", "sid.cid"},
		"with a prefix of its own": {prefix, true, "__Secure-sid", "__Secure-cid"},
	} {
		t.Run(name, func(t *testing.T) {
			codec, cred := newCodec(c.change), credentials.Session{ID: sessionID, Token: credentials.NewToken()}
			before := time.Now().Truncate(time.Second)
			have := set(t, codec, c.secure, cred)
			require.Contains(t, have, c.sid)
			require.Contains(t, have, c.sidName)
			x := read(codec, request(have), c.secure)
			require.False(t, x.forged)
			require.Len(t, x.presented.Sessions, 1)
			got := x.presented.Sessions[0]
			require.Equal(t, cred.ID, got.ID)
			require.Equal(t, cred.Token, got.Token)
			require.WithinRange(t, time.Unix(got.Signed, 0), before, time.Now())
			require.Len(t, x.presented.Clients, 1)
			require.Equal(t, clientID, x.presented.Clients[0].ID)
			_, ok := x.presented.Client(clientID)
			require.True(t, ok)
			_, ok = x.presented.Client(someClient)
			require.False(t, ok)
		})
	}
}

func TestSpoiledValuesAreNotRead(t *testing.T) {
	codec := newCodec(nil)
	have := set(t, codec, false, credentials.Session{ID: sessionID, Token: credentials.NewToken()})
	sid, cid, junk := have["sid"], have["sid.cid"], strings.Repeat("A", 10_000)
	for name, c := range map[string]struct {
		jar    jar
		secure bool
		forged bool
	}{
		"no cookie":                       {jar{}, false, false},
		"only the client cookie":          {jar{"sid.cid": cid[1:]}, false, false},
		"empty":                           {jar{"sid": ""}, false, true},
		"first half":                      {jar{"sid": sid[:len(sid)/2]}, false, true},
		"one byte less":                   {jar{"sid": sid[:len(sid)-1], "sid.cid": cid[:len(cid)-1]}, false, true},
		"one byte more":                   {jar{"sid": sid + "A", "sid.cid": cid + "A"}, false, true},
		"another case":                    {jar{"sid": strings.ToUpper(sid), "sid.cid": strings.ToUpper(cid)}, false, true},
		"right length":                    {jar{"sid": junk[:len(sid)], "sid.cid": junk[:len(cid)]}, false, true},
		"the client cookie's value":       {jar{"sid": cid, "sid.cid": sid}, false, true},
		"the name for HTTPS":              {jar{"__Host-sid": sid, "__Host-sid.cid": cid}, true, true},
		"the name for HTTPS, over HTTP":   {jar{"__Host-sid": sid, "__Host-sid.cid": cid}, false, false},
		"the name for HTTP, over HTTPS":   {have, true, false},
		"far longer than a cookie can be": {jar{"sid": junk}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := read(codec, request(c.jar), c.secure)
			require.Empty(t, x.presented.Sessions)
			require.Empty(t, x.presented.Clients)
			require.Equal(t, c.forged, x.forged)
		})
	}
}

// To replace a key, the new one is put first, and the old one stays as long as its cookies are to
// be valid.
func TestKeysAreRotated(t *testing.T) {
	with := func(keys ...[]byte) *credentials.Codec {
		return newCodec(func(cfg *config) { cfg.Keys = keys })
	}
	before, during, after := with(key("o")), with(key("n"), key("o")), with(key("n"))
	cred := credentials.Session{ID: sessionID, Token: credentials.NewToken()}
	old, next := set(t, before, false, cred), set(t, during, false, cred)
	for name, c := range map[string]struct {
		codec *credentials.Codec
		jar   jar
		reads bool
	}{
		"old cookie, before": {before, old, true},
		"old cookie, during": {during, old, true},
		"old cookie, after":  {after, old, false},
		"new cookie, before": {before, next, false},
		"new cookie, during": {during, next, true},
		"new cookie, after":  {after, next, true},
	} {
		x := read(c.codec, request(c.jar), false)
		require.Equal(t, c.reads, len(x.presented.Sessions) == 1 && len(x.presented.Clients) == 1, name)
		require.Equal(t, !c.reads, x.forged, name)
	}
}

// All valid cookies of one name are read: the sessions in their order, the clients by their age.
func TestSeveralCookiesOfOneNameAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codec := newCodec(nil)
		first := set(t, codec, false, credentials.Session{ID: sessionID, Token: credentials.NewToken()})
		time.Sleep(time.Minute)
		second := set(t, codec, false, credentials.Session{ID: otherID, Token: credentials.NewToken()})
		for range 2 {
			x := read(codec, request(first, jar{"sid": "junk", "sid.cid": "junk"}, second), false)
			require.False(t, x.forged)
			require.Equal(t, sessionID, x.presented.Sessions[0].ID)
			require.Equal(t, otherID, x.presented.Sessions[1].ID)
			require.Greater(t, x.presented.Clients[0].Signed, x.presented.Clients[1].Signed)
		}
	})
}

func TestClientCookieExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codec := newCodec(func(cfg *config) { cfg.ClientMaxAge = time.Hour })
		have := set(t, codec, false, credentials.Session{ID: sessionID, Token: credentials.NewToken()})
		time.Sleep(time.Hour)
		require.Len(t, read(codec, request(have), false).presented.Clients, 1)
		time.Sleep(time.Second)
		x := read(codec, request(have), false)
		require.Empty(t, x.presented.Clients)
		require.Len(t, x.presented.Sessions, 1, "the record has the session's times")
	})
}

func TestTokenIsTheSessionCookiesValue(t *testing.T) {
	codec := newCodec(func(cfg *config) { cfg.TokenFrom = credentials.TokenFromHeader("authorization") })
	have := set(t, codec, false, credentials.Session{ID: sessionID, Token: credentials.NewToken()})
	text := have["sid"]
	const byCookies, byToken, byTicket = credentials.ByCookies, credentials.ByToken, credentials.ByTicket
	for name, c := range map[string]struct {
		header           []string
		carrier          credentials.Carrier
		sessions, forged bool
	}{
		"padded":                 {[]string{"Authorization", "Bearer " + text}, byToken, true, false},
		"unpadded, no scheme":    {[]string{"Authorization", strings.TrimRight(text, "=")}, byToken, true, false},
		"spoiled":                {[]string{"Authorization", "bearer " + text[1:]}, byToken, false, true},
		"none yet":               {[]string{"Authorization", "Bearer"}, byToken, false, false},
		"none yet, with cookies": {[]string{"Authorization", "", "Cookie", "sid=" + text}, byToken, false, false},
		"another scheme":         {[]string{"Authorization", "Basic YTpi", "Cookie", "sid=" + text}, byCookies, true, false},
		"cookies":                {[]string{"Cookie", "sid=" + text}, byCookies, true, false},
		"a ticket, with a token": {[]string{"Authorization", text, "Sec-WebSocket-Protocol", "sessionbridge.ticket.xyz"}, byTicket, false, false},
	} {
		x := read(codec, get(c.header...), false)
		require.Equal(t, c.carrier, x.presented.Carrier, name)
		require.Equal(t, c.sessions, len(x.presented.Sessions) == 1, name)
		require.Equal(t, c.forged, x.forged, name)
		require.Empty(t, x.presented.Clients, name)
		if c.carrier == byTicket {
			require.Equal(t, "xyz", x.presented.Text)
		}
	}
}

// FuzzRead: no Cookie header panics, and only cookies that were issued are read.
func FuzzRead(f *testing.F) {
	codec := newCodec(nil)
	have := set(f, codec, false, credentials.Session{ID: sessionID, Token: credentials.NewToken()})
	sid, cid := "sid="+have["sid"], "sid.cid="+have["sid.cid"]
	for _, seed := range []string{
		"", sid, sid + "; " + cid, cid + ";" + sid + ";" + sid,
		"sid=\"" + have["sid"] + "\"", sid[:len(sid)-2], "sid=; sid.cid=", "sid", ";;", "sid=\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := get()
		r.Header["Cookie"] = []string{header}
		x := read(codec, r, false)
		for _, cred := range x.presented.Sessions {
			require.Equal(t, sessionID, cred.ID)
		}
		for _, client := range x.presented.Clients {
			require.Equal(t, clientID, client.ID)
		}
		require.Equal(t, x.forged, len(x.presented.Sessions) == 0 && len(r.CookiesNamed("sid")) > 0)
	})
}

// FuzzReadToken: no text panics, and only a token that was issued is read.
func FuzzReadToken(f *testing.F) {
	codec := newCodec(func(cfg *config) {
		cfg.TokenFrom = func(r *http.Request) (string, bool) { return r.Header["Token"][0], true }
	})
	text := set(f, newCodec(nil), false, cred)["sid"]
	for _, seed := range []string{
		"", text, strings.TrimRight(text, "="), text[1:], text + "=",
		strings.Repeat("A", 600), "=", "\x00\xff", text[:8] + "\n" + text[8:],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		r := get()
		r.Header["Token"] = []string{token}
		x := read(codec, r, false)
		if len(x.presented.Sessions) == 0 {
			require.Equal(t, token != "", x.forged)
			return
		}
		got := x.presented.Sessions[0]
		got.Signed = 0
		require.Equal(t, cred, got)
	})
}

// FuzzTokenFrom: the token of a header or a subprotocol is a part of it, that of a header one word,
// that of a subprotocol from one offer; only a token that was issued is read.
func FuzzTokenFrom(f *testing.F) {
	inHeader, inProtocol := credentials.TokenFromHeader("authorization"), credentials.TokenFromProtocol("")
	text := strings.TrimRight(set(f, newCodec(nil), false, cred)["sid"], "=")
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer " + text, " " + text + "\t", "Basic YTpi", "Bearer a b", text + "="} {
		f.Add(seed, "sessionbridge")
		f.Add("Basic "+seed, "sessionbridge.token."+seed)
		f.Add(seed, "sessionbridge, sessionbridge.token."+text+",sessionbridge.token."+seed)
	}
	f.Fuzz(func(t *testing.T, header, protocols string) {
		r := get()
		r.Header["Authorization"], r.Header["Sec-Websocket-Protocol"] = []string{header}, []string{protocols}
		for from, value := range map[*credentials.TokenFrom]string{&inHeader: header, &inProtocol: protocols} {
			token, ok := (*from)(r)
			if ok {
				require.Contains(t, value, token)
				require.False(t, from == &inHeader && strings.Contains(token, " "))
				require.False(t, from == &inProtocol && strings.Contains(token, ","))
			}
			x := read(newCodec(func(cfg *config) { cfg.TokenFrom = *from }), r, false)
			require.Equal(t, ok, x.presented.Carrier == credentials.ByToken)
			for _, got := range x.presented.Sessions {
				got.Signed = 0
				require.Equal(t, cred, got)
			}
		}
	})
}

// Each request may have a header as long as the server allows, 1 MB by default.
func TestOffersAreReadWithoutMemory(t *testing.T) {
	codec, p := newCodec(nil), credentials.Presented{}
	r := get("Sec-WebSocket-Protocol", strings.Repeat("a,", 500_000))
	require.Less(t, testing.AllocsPerRun(1, func() { codec.Read(&p, r, false) }), 5.)
	r = get("Sec-WebSocket-Protocol", strings.Repeat("a,", 500_000)+" sessionbridge.ticket.xyz")
	codec.Read(&p, r, false)
	require.Equal(t, "xyz", p.Text)
}
