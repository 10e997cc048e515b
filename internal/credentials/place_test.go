package credentials_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// names returns the names and the scopes of the cookies that h sets, with "-" before those that it
// removes.
func names(h http.Header) (list []string) {
	for _, line := range h["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			return []string{err.Error()}
		}
		sign := ""
		if cookie.MaxAge < 0 {
			sign = "-"
		}
		list = append(list, sign+cookie.Name+" "+cookie.Domain+cookie.Path)
	}
	return list
}

// A cookie that another key than the first has signed is read, and is to be signed anew.
func TestCookieOfAnOlderKeyIsStale(t *testing.T) {
	before := newCodec(func(cfg *config) { cfg.Keys = [][]byte{key("o")} })
	codec := newCodec(func(cfg *config) { cfg.ClientRollEvery = 0 })
	cookies := set(t, before, false, cred)
	require.True(t, read(codec, request(cookies), false).forged)

	codec.SetKeys([][]byte{key("n"), key("o")})
	x := read(codec, request(cookies), false)
	require.True(t, x.presented.Stale())
	require.Equal(t, cred.Token, x.presented.Sessions[0].Token)
	require.Equal(t, []string{"sid.cid /"}, names(x.write(t, get())), "the client cookie is due")

	x = read(codec, request(cookies), false)
	x.answer.SetSession(x.presented.Sessions[0], 0)
	cookies.take(t, x.write(t, get()))
	codec.SetKeys([][]byte{key("n")})
	x = read(codec, request(cookies), false)
	require.False(t, x.presented.Stale())
	require.Len(t, x.presented.Sessions, 1)
	require.Empty(t, names(x.write(t, get())))
}

// Of several cookies with one token, a fresh one is enough.
func TestCandidateIsStaleIfAllCookiesWithTheTokenAre(t *testing.T) {
	stale, fresh := cred, cred
	stale.Stale = true
	for name, c := range map[string]struct {
		cookies credentials.Candidate
		stale   bool
	}{
		"stale":         {credentials.Candidate{stale}, true},
		"both":          {credentials.Candidate{stale, fresh}, false},
		"another token": {credentials.Candidate{stale, {ID: cred.ID}}, true},
	} {
		require.Equal(t, c.stale, c.cookies.Stale(cred.Token), name)
	}
}

// Cookies of former names are read after those of the present names. They are removed where the
// present ones are set, and before.
func TestFormerNames(t *testing.T) {
	before := newCodec(nil)
	codec := newCodec(func(cfg *config) {
		cfg.Name, cfg.ClientName = "new", "new.cid"
		cfg.Former.Names = []credentials.Names{{Session: "old", Client: "old.cid"}, {Session: "sid", Client: "sid.cid"}}
	})
	for _, secure := range []bool{false, true} {
		prefix := ""
		if secure {
			prefix = "__Host-"
		}
		x := read(codec, request(set(t, before, secure, cred)), secure)
		require.True(t, x.presented.Stale())
		require.Equal(t, clientID, x.presented.Clients[0].ID)
		require.Equal(t, []string{"-" + prefix + "sid.cid /", prefix + "new.cid /"}, names(x.write(t, get())),
			"a name that the request hasn't presented is not removed")

		present := set(t, codec, secure, credentials.Session{ID: otherID})
		x = read(codec, request(set(t, before, secure, cred), present), secure)
		require.Equal(t, otherID, x.presented.Sessions[0].ID)
		require.Equal(t, cred.ID, x.presented.Sessions[1].ID)
		x.answer.RemoveSession()
		require.Equal(t, []string{"-" + prefix + "sid /", "-" + prefix + "new /"}, names(x.write(t, get())))
	}
	foreign := request(jar{"old": strings.Repeat("A", 140), "sid": "x"})
	x := read(codec, foreign, false)
	require.False(t, x.forged, "it may belong to another application")
	x.answer.SetSession(cred, 0)
	require.Equal(t, []string{"new /", "new.cid /"}, names(x.write(t, foreign)), "likewise")
}

// A token is a cookie's value, signed with its name.
func TestTokenOfAFormerNameIsStale(t *testing.T) {
	before := newCodec(nil)
	codec := newCodec(func(cfg *config) {
		cfg.Name, cfg.TokenFrom = "new", credentials.TokenFromHeader("X-Token")
		cfg.Former.Names = []credentials.Names{{Session: "sid", Client: "sid.cid"}}
	})
	x := read(codec, get("X-Token", set(t, before, false, cred)["sid"]), false)
	require.Equal(t, credentials.ByToken, x.presented.Carrier)
	require.Equal(t, cred.Token, x.presented.Sessions[0].Token)
	require.True(t, x.presented.Stale())
}

// A browser keeps the cookies of a former scope beside the present ones: these are removed with
// each change. If the scope has changed the name, they are read, and removed if the request has
// them.
func TestFormerScopes(t *testing.T) {
	codec := newCodec(func(cfg *config) {
		cfg.Domain = "example.com"
		cfg.Former.Scopes = []credentials.Scope{{Path: "/"}, {Domain: "example.com", Path: "/app"}}
	})
	x := read(codec, get(), true)
	x.answer.SetSession(cred, 0)
	require.Equal(t, []string{
		"-sid example.com/app", "sid example.com/", "-sid.cid example.com/app", "sid.cid example.com/",
	}, names(x.write(t, get())))

	x = read(codec, request(set(t, newCodec(nil), true, cred)), true)
	require.True(t, x.presented.Stale(), "__Host- was possible before")
	x.answer.SetSession(x.presented.Sessions[0], 0)
	require.Equal(t, []string{
		"-__Host-sid /", "-sid example.com/app", "sid example.com/",
		"-__Host-sid.cid /", "-sid.cid example.com/app", "sid.cid example.com/",
	}, names(x.write(t, get())))
}

// A request with the context of another one is that one if it has the same cookies, also under a
// former name.
func TestRequestDiffersByACookieOfAFormerName(t *testing.T) {
	codec := newCodec(func(cfg *config) {
		cfg.Former.Names = []credentials.Names{{Session: "old", Client: "old.cid"}}
	})
	outer := request(jar{"old": "a"})
	x := read(codec, outer, false)
	require.False(t, x.presented.Differs(outer, request(jar{"old": "a"})))
	require.True(t, x.presented.Differs(outer, request(jar{"old": "b"})))
}
