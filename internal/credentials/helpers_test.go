package credentials_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

const (
	sessionID  = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	otherID    = "6ba7b811-9dad-41d1-80b4-00c04fd430c8"
	clientID   = "0e984725-c51c-4bf4-9960-e1c80e27aba0"
	someClient = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
)

// Short names for tables.
type (
	config   = credentials.Config
	response = credentials.Response
	tokens   = []credentials.Token
)

func key(c string) []byte { return bytes.Repeat([]byte(c), 32) }

// newCodec returns a Codec with the usual settings, which change may change.
func newCodec(change func(*credentials.Config)) *credentials.Codec {
	cfg := credentials.Config{
		Keys: [][]byte{key("k")}, Name: "sid", ClientName: "sid.cid", Path: "/", SameSite: http.SameSiteLaxMode,
		ClientMaxAge: 365 * 24 * time.Hour, ClientRollEvery: 24 * time.Hour,
	}
	if change != nil {
		change(&cfg)
	}
	return credentials.NewCodec(cfg)
}

// get returns a request with headers, given as names and values.
func get(header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// exchange is a request and its answer.
type exchange struct {
	presented credentials.Presented
	answer    credentials.Answer
	forged    bool
}

func read(c *credentials.Codec, r *http.Request, secure bool) *exchange {
	x := &exchange{}
	x.forged = c.Read(&x.presented, r, secure)
	x.answer.Begin(&x.presented)
	if len(x.presented.Clients) == 0 {
		x.answer.NewClient(clientID)
	} else {
		x.answer.UseClient(x.presented.Clients[0])
	}
	return x
}

// write returns the header that is written for the request r.
func (x *exchange) write(t testing.TB, r *http.Request) http.Header {
	t.Helper()
	h := make(http.Header)
	_, err := x.answer.WriteTo(h, credentials.Response{Request: r, Asked: true, Opened: true})
	require.NoError(t, err)
	return h
}

// jar holds what a browser has, by name.
type jar map[string]string

// set returns the cookies that a Codec sets for a session and the client clientID.
func set(t testing.TB, c *credentials.Codec, secure bool, cred credentials.Session) jar {
	t.Helper()
	r := get()
	x := read(c, r, secure)
	x.answer.SetSession(cred, time.Hour)
	j := make(jar)
	j.take(t, x.write(t, r))
	return j
}

func (j jar) take(t testing.TB, h http.Header) {
	t.Helper()
	for _, line := range h["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		require.NoError(t, err)
		j[cookie.Name] = cookie.Value
	}
}

// request returns a request with the cookies of the jars.
func request(jars ...jar) *http.Request {
	r := get()
	for _, j := range jars {
		for name, value := range j {
			r.Header.Add("Cookie", name+"="+value)
		}
	}
	return r
}
