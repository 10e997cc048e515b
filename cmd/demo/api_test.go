package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSessionBeginsWithTheFirstLook(t *testing.T) {
	v := newVisitor(t, serve(t))
	first := v.get(t, "/api/session")
	require.NotEmpty(t, first.ClientID)
	require.NotEmpty(t, first.SessionID)
	require.Empty(t, first.User)
	require.Equal(t, counts(0, 0, 0), first.counts())
	require.Equal(t, first, v.get(t, "/api/session"), "looking changes nothing")

	stranger := newVisitor(t, v.url).get(t, "/api/session")
	require.NotEqual(t, first.SessionID, stranger.SessionID)
	require.NotEqual(t, first.ClientID, stranger.ClientID)
}

func TestIncrementNeedsNoSessionBefore(t *testing.T) {
	v := newVisitor(t, serve(t))
	first := v.post(t, "/api/increment", `{"by":1}`)
	require.EqualValues(t, 1, first.Session["httpCount"])
	require.EqualValues(t, 1, first.Session["total"])
	second := v.post(t, "/api/increment", `{"by":1000}`)
	require.Equal(t, first.SessionID, second.SessionID)
	require.EqualValues(t, 1001, second.Session["httpCount"])
	require.EqualValues(t, 1001, second.Session["total"])
}

func TestLoginKeepsTheSessionAndItsValues(t *testing.T) {
	v := newVisitor(t, serve(t))
	anonymous := v.post(t, "/api/increment", `{"by":3}`)
	ada := v.post(t, "/api/login", `{"user":"ada"}`)
	require.Equal(t, "ada", ada.User)
	require.Equal(t, anonymous.SessionID, ada.SessionID)
	require.Equal(t, counts(3, 0, 3), ada.counts())
	require.Equal(t, ada, v.get(t, "/api/session"))
	require.Equal(t, ada, v.post(t, "/api/login", `{"user":"ada"}`), "the same user again keeps them too")
}

func TestAnotherUserStartsFromNothing(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.post(t, "/api/login", `{"user":"ada"}`)
	v.post(t, "/api/increment", `{"by":3}`)
	grace := v.post(t, "/api/login", `{"user":"grace"}`)
	require.Equal(t, "grace", grace.User)
	require.Equal(t, counts(0, 0, 0), grace.counts())
}

func TestLogoutEndsTheSession(t *testing.T) {
	v := newVisitor(t, serve(t))
	ada := v.post(t, "/api/login", `{"user":"ada"}`)
	out := v.post(t, "/api/logout", "")
	require.Equal(t, ada.ClientID, out.ClientID)
	require.Empty(t, out.SessionID)
	require.Empty(t, out.User)
	require.Empty(t, out.Session)
	v.post(t, "/api/logout", "") // no effect

	next := v.get(t, "/api/session")
	require.Equal(t, ada.ClientID, next.ClientID, "the browser is the same")
	require.NotEqual(t, ada.SessionID, next.SessionID)
	require.Empty(t, next.User)
}

func TestBadRequestsAreExplainedAndChangeNothing(t *testing.T) {
	v := newVisitor(t, serve(t))
	before := v.post(t, "/api/increment", `{"by":5}`)
	for name, c := range map[string]struct{ path, body, says string }{
		"nothing":              {"/api/increment", ``, "the request is empty"},
		"blanks":               {"/api/increment", " \n", "the request is empty"},
		"half of it":           {"/api/increment", `{"by":`, "ends too early"},
		"not JSON":             {"/api/increment", `by=1`, "invalid JSON"},
		"an array":             {"/api/increment", `[1]`, "not an array"},
		"a number":             {"/api/increment", `1`, "not a number"},
		"null":                 {"/api/increment", `null`, `"by" is missing`},
		"two objects":          {"/api/increment", `{"by":1}{"by":1}`, "after the JSON object"},
		"no amount":            {"/api/increment", `{}`, `"by" is missing`},
		"a null amount":        {"/api/increment", `{"by":null}`, `"by" is missing`},
		"a text":               {"/api/increment", `{"by":"1"}`, `"by" can't be a string`},
		"a fraction":           {"/api/increment", `{"by":1.5}`, `"by" can't be the number 1.5`},
		"more than an integer": {"/api/increment", `{"by":1e30}`, `"by" can't be`},
		"zero":                 {"/api/increment", `{"by":0}`, "out of range"},
		"less than zero":       {"/api/increment", `{"by":-1}`, "out of range"},
		"too many":             {"/api/increment", `{"by":1001}`, "out of range"},
		"an unknown field":     {"/api/increment", `{"by":1,"to":2}`, `unknown field "to"`},
		"a socket's verb":      {"/api/increment", `{"do":"increment","by":1}`, `unknown field "do"`},
		"too large":            {"/api/increment", `{"by":1` + strings.Repeat(" ", maxMessage) + `}`, "at most 16 KiB"},
		"nobody":               {"/api/login", `{"user":""}`, `"user" is missing`},
		"a blank name":         {"/api/login", `{"user":"  "}`, `"user" is missing`},
		"no user":              {"/api/login", `{}`, `"user" is missing`},
		"a number for a user":  {"/api/login", `{"user":1}`, `"user" can't be a number`},
		"a long name":          {"/api/login", `{"user":"` + strings.Repeat("a", maxUser+1) + `"}`, "too long"},
		"a control character":  {"/api/login", `{"user":"a\u0000b"}`, "control characters"},
		"an unknown login":     {"/api/login", `{"user":"ada","admin":true}`, `unknown field "admin"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, r := v.send(t, http.MethodPost, c.path, c.body)
			require.Equal(t, http.StatusBadRequest, status)
			require.False(t, *r.OK)
			require.Contains(t, r.Error, c.says)
			require.Empty(t, r.SessionID)
		})
	}
	require.Equal(t, before, v.get(t, "/api/session"))
}

func TestUnknownRoutesSpeakJSONToo(t *testing.T) {
	v := newVisitor(t, serve(t))
	for _, c := range [][2]string{{"GET", "/api/increment"}, {"DELETE", "/api/session"}, {"GET", "/api/nothing"}} {
		status, r := v.send(t, c[0], c[1], "")
		require.Equal(t, http.StatusNotFound, status, c)
		require.Contains(t, r.Error, "GET /api/session")
	}
}

func TestOtherSitesChangeNothing(t *testing.T) {
	v := newVisitor(t, serve(t))
	before := v.get(t, "/api/session")
	for _, path := range []string{
		"/api/increment", "/api/login", "/api/logout", "/api/signout", "/api/signout/others", "/api/signout/everywhere", "/api/close", "/api/notify",
	} {
		for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
			status, r := v.send(t, http.MethodPost, path, `{"by":1}`, header...)
			require.Equal(t, http.StatusForbidden, status, path)
			require.Contains(t, r.Error, "other sites")
		}
	}
	require.Equal(t, before, v.get(t, "/api/session"))
}
