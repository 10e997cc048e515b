package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func TestSocketWorksOnTheRequestsSession(t *testing.T) {
	v := newVisitor(t, serve(t))
	begun := v.post(t, "/api/increment", `{"by":1}`)
	ws := v.dial(t)

	got := ws.do(t, `{"do":"get"}`)
	require.True(t, *got.OK)
	require.NotEmpty(t, got.ConnID)
	require.Equal(t, begun.ClientID, got.ClientID)
	require.Equal(t, begun.SessionID, got.SessionID)
	require.Equal(t, begun.Session, got.Session)

	require.EqualValues(t, 2, ws.do(t, `{"do":"increment","by":2}`).Session["wsCount"])
	value := map[string]any{"a": []any{1.0, nil, "x"}}
	require.Equal(t, value, ws.do(t, `{"do":"set","key":"k","value":{"a":[1,null,"x"]}}`).Session["k"])
	null := ws.do(t, `{"do":"set","key":"nil","value":null}`).Session
	require.Contains(t, null, "nil")
	require.Nil(t, null["nil"])

	now := v.get(t, "/api/session")
	require.EqualValues(t, 3, now.Session["total"])
	require.Equal(t, value, now.Session["k"])
}

func TestLogoutOverASocketIsAnsweredThenClosesAll(t *testing.T) {
	v := newVisitor(t, serve(t))
	begun := v.get(t, "/api/session")
	one, two := v.dial(t), v.dial(t)
	out := one.do(t, `{"do":"logout"}`)
	require.True(t, *out.OK)
	require.Equal(t, begun.ClientID, out.ClientID)
	require.Empty(t, out.SessionID)
	require.Equal(t, bridge.CodeDestroyed, one.closed(t))
	require.Equal(t, bridge.CodeDestroyed, two.closed(t))
	require.NotEqual(t, begun.SessionID, v.get(t, "/api/session").SessionID)
}

func TestLoginCallsTheSocketsBackWithNewCookies(t *testing.T) {
	v := newVisitor(t, serve(t))
	begun := v.get(t, "/api/session")
	before := v.watch(t)
	v.post(t, "/api/login", `{"user":"ada"}`)
	require.Equal(t, bridge.CodeReconnect, before.closed(t))
	got := v.dial(t).do(t, `{"do":"get"}`)
	require.Equal(t, "ada", got.User)
	require.Equal(t, begun.SessionID, got.SessionID)
}

func TestBadMessagesAreExplainedAndLeaveTheSocketOpen(t *testing.T) {
	v := newVisitor(t, serve(t))
	before := v.get(t, "/api/session")
	ws := v.dial(t)
	for name, c := range map[string]struct{ message, says string }{
		"nothing":            {``, "the request is empty"},
		"not JSON":           {`hello`, "invalid JSON"},
		"half of it":         {`{"do":"get"`, "ends too early"},
		"an array":           {`["get"]`, "not an array"},
		"no verb":            {`{}`, `"do" is missing`},
		"null":               {`null`, `"do" is missing`},
		"a number for verb":  {`{"do":1}`, `"do" can't be a number`},
		"an unknown verb":    {`{"do":"destroy"}`, "must be get"},
		"an unknown field":   {`{"do":"get","key":"k"}`, `unknown field "key"`},
		"more than one":      {`{"do":"get"}{"do":"logout"}`, "after the JSON object"},
		"no amount":          {`{"do":"increment"}`, `"by" is missing`},
		"a text":             {`{"do":"increment","by":"1"}`, `"by" can't be a string`},
		"too many":           {`{"do":"increment","by":1001}`, "out of range"},
		"no key":             {`{"do":"set","value":1}`, `"key" is missing`},
		"a number for a key": {`{"do":"set","key":1,"value":1}`, `"key" can't be a number`},
		"a long key":         {`{"do":"set","key":"` + strings.Repeat("k", maxKey+1) + `","value":1}`, "too long"},
		"no value":           {`{"do":"set","key":"k"}`, `"value" is missing`},
		"a counter":          {`{"do":"set","key":"total","value":99}`, "is a counter"},
		"too large":          {`{"do":"set","key":"k","value":"` + strings.Repeat("x", maxMessage) + `"}`, "at most 16 KiB"},
		"logout and more":    {`{"do":"logout","everywhere":true}`, `unknown field "everywhere"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := ws.do(t, c.message)
			require.False(t, *r.OK)
			require.Contains(t, r.Error, c.says)
			require.Empty(t, r.SessionID)
		})
	}
	after := ws.do(t, `{"do":"get"}`)
	require.Equal(t, before.Session, after.Session)
	require.Equal(t, before.SessionID, after.SessionID)
}

func TestFullSessionIsNoCrash(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	ws := v.dial(t)
	value := strings.Repeat("x", maxMessage-100)
	var last reply
	for i := range 5 { // 5 × 16 KiB exceed 64 KiB
		last = ws.do(t, fmt.Sprintf(`{"do":"set","key":"k%d","value":"%s"}`, i, value))
	}
	require.False(t, *last.OK)
	require.Contains(t, last.Error, "full")
	require.NotContains(t, ws.do(t, `{"do":"get"}`).Session, "k4")
}

func TestSocketWithoutSessionIsToldWhereToGetOne(t *testing.T) {
	v := newVisitor(t, serve(t))
	ws := v.dial(t)
	for _, verb := range []string{`{"do":"get"}`, `{"do":"logout"}`, `{"do":"increment","by":1}`} {
		r := ws.do(t, verb)
		require.False(t, *r.OK, verb)
		require.Contains(t, r.Error, "GET /api/session", verb)
	}
}

func TestOtherSitesGetNoSocket(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	_, res, err := websocket.Dial(t.Context(), v.url+"/ws", &websocket.DialOptions{
		HTTPClient: v.client,
		HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestNoIncrementIsLost(t *testing.T) {
	v := newVisitor(t, serve(t))
	v.get(t, "/api/session")
	const each = 25
	var done sync.WaitGroup
	for _, ws := range []*wire{v.dial(t), v.dial(t)} {
		done.Go(func() {
			for range each {
				if !*ws.do(t, `{"do":"increment","by":1}`).OK {
					t.Error("an increment over a socket failed")
				}
			}
		})
	}
	done.Go(func() {
		for range each {
			status, _ := v.send(t, http.MethodPost, "/api/increment", `{"by":1}`)
			if status != http.StatusOK {
				t.Errorf("an increment over HTTP failed: %d", status)
			}
		}
	})
	done.Wait()
	require.Equal(t, counts(each, 2*each, 3*each), v.get(t, "/api/session").counts())
}
