package credentials

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"
	"github.com/stretchr/testify/require"
)

var verifyKey = bytes.Repeat([]byte("k"), 64)

func peer(maxAge int) *securecookie.SecureCookie {
	return securecookie.New(verifyKey, nil).SetSerializer(securecookie.NopEncoder{}).MaxAge(maxAge)
}

// FuzzVerify: the signer accepts what securecookie accepts, and nothing else.
func FuzzVerify(f *testing.F) {
	for _, size := range []int{0, 1, 36, 43, maxSignedValue} {
		value := strings.Repeat("v", size)
		signed, err := peer(0).Encode("sid", []byte(value))
		require.NoError(f, err)
		f.Add("sid", signed)
		f.Add("sid.cid", signed)
		f.Add("sid", strings.TrimRight(signed, "="))
		f.Add("sid", signed[:len(signed)/2])
		raw, err := base64.URLEncoding.DecodeString(signed)
		require.NoError(f, err)
		for _, at := range []int{0, 3, bytes.IndexByte(raw, '|'), len(raw) - 33, len(raw) - 1} {
			bad := bytes.Clone(raw)
			bad[at] ^= 1
			f.Add("sid", base64.URLEncoding.EncodeToString(bad))
		}
		f.Add("sid", base64.URLEncoding.EncodeToString(raw[:len(raw)-1]))
		f.Add("sid", base64.URLEncoding.EncodeToString(append(bytes.Clone(raw), 0)))
		f.Add("sid", signed[:8]+"\n"+signed[8:])
	}
	f.Add("sid", "")
	f.Add("sid", "fHw=")
	mine := newSigner(verifyKey, 0)
	f.Fuzz(func(t *testing.T, name, cookie string) {
		var want []byte
		accepted := peer(0).Decode(name, cookie, &want) == nil
		var got signedValue
		if len(cookie) > maxSigned || len(want) > maxSignedValue {
			return // ours are shorter
		}
		require.Equal(t, accepted, mine.verify(name, cookie, &got))
		if accepted {
			require.Equal(t, string(want), string(got.bytes()))
		}
	})
}

// FuzzSign: a signature is the one that securecookie makes in the same second.
func FuzzSign(f *testing.F) {
	for _, size := range []int{0, 1, 36, 43, maxSignedValue} {
		f.Add("sid", strings.Repeat("v", size))
		f.Add("__Host-sid.cid", strings.Repeat("|", size))
	}
	mine := newSigner(verifyKey, 0)
	f.Fuzz(func(t *testing.T, name, value string) {
		var got, want string
		for before := int64(0); before != time.Now().Unix(); { // both in one second
			before = time.Now().Unix()
			var err error
			want, err = peer(0).MaxLength(0).Encode(name, []byte(value))
			require.NoError(t, err)
			got = mine.sign(name, []byte(value))
		}
		require.Equal(t, want, got)
	})
}

func TestSignerRefusesAnotherKeyAndAnotherName(t *testing.T) {
	before := time.Now().Truncate(time.Second) // as cookies have it
	signed, err := peer(0).Encode("sid", []byte("value"))
	require.NoError(t, err)
	var v signedValue
	require.True(t, newSigner(verifyKey, 0).verify("sid", signed, &v))
	require.Equal(t, "value", string(v.bytes()))
	require.WithinRange(t, time.Unix(v.signed, 0), before, time.Now())
	require.False(t, newSigner(verifyKey, 0).verify("sid2", signed, &v))
	require.False(t, newSigner(bytes.Repeat([]byte("x"), 64), 0).verify("sid", signed, &v))
}

// A value that is too long is refused, although its signature is valid: the package signs no such
// value.
func TestSignerRefusesWhatIsTooLong(t *testing.T) {
	for _, size := range []int{maxSignedValue + 1, maxSigned, 4 * maxSigned} {
		signed, err := peer(0).Encode("sid", make([]byte, size))
		require.NoError(t, err)
		var v signedValue
		require.False(t, newSigner(verifyKey, 0).verify("sid", signed, &v), size)
	}
}

func TestSignerKnowsTheAge(t *testing.T) {
	signed, err := peer(0).Encode("sid", []byte("value"))
	require.NoError(t, err)
	raw, err := base64.URLEncoding.DecodeString(signed)
	require.NoError(t, err)
	require.Equal(t, byte('|'), raw[10], "the seconds since 1970 have ten digits until 2286")
	var v signedValue
	young := newSigner(verifyKey, time.Hour)
	require.True(t, young.verify("sid", signed, &v))
	young.maxAge = -2 // only a signature two seconds in the future is young enough
	require.False(t, young.verify("sid", signed, &v))
}

func TestSignerIsSafeForConcurrentUse(t *testing.T) {
	mine := newSigner(verifyKey, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		value := strings.Repeat(string(rune('a'+i)), 1+5*i)
		signed, err := peer(0).Encode("sid", []byte(value))
		require.NoError(t, err)
		wg.Go(func() {
			for range 200 {
				var v signedValue
				if !mine.verify("sid", signed, &v) || string(v.bytes()) != value {
					t.Errorf("%q became %q", value, v.bytes())
				}
			}
		})
	}
	wg.Wait()
}

// The valid cookie is found among those that a sibling host has added (cookie tossing). Signature
// checks are bounded, and a cookie of another length costs none.
func TestCookiesBehindJunkAreRead(t *testing.T) {
	c := NewCodec(Config{Name: "sid", ClientName: "sid.cid", Keys: [][]byte{[]byte("old"), verifyKey}, Path: "/"})
	cred, client := Session{ID: uuid.NewString(), Token: NewToken()}, uuid.NewString()
	h := make(http.Header)
	require.NoError(t, c.setSession(h, false, cred, time.Hour))
	c.setClient(h, false, client)
	good := ""
	for _, line := range h["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		require.NoError(t, err)
		require.Len(t, cookie.Value, map[string]int{"sid": sessionCookieLen, "sid.cid": clientCookieLen}[cookie.Name])
		good += cookie.Name + "=" + cookie.Value + "; "
	}
	forged := "sid=" + strings.Repeat("A", sessionCookieLen) +
		"; sid.cid=" + strings.Repeat("A", clientCookieLen) + "; "
	for name, c2 := range map[string]struct {
		junk  string
		found bool
	}{
		"none":                         {"", true},
		"malformed":                    {strings.Repeat("sid=x; sid.cid=x; ", 1000), true},
		"as many as a browser has":     {strings.Repeat(forged, maxChecked-1), true},
		"more than a browser can have": {strings.Repeat(forged, maxChecked), false},
	} {
		r := &http.Request{Header: http.Header{"Cookie": {c2.junk + good}}}
		p := Presented{codec: c}
		p.readSessions(r)
		p.readClients(r)
		sessions, clients := p.Sessions, p.Clients
		if !c2.found {
			require.Empty(t, sessions, name)
			require.Empty(t, clients, name)
			continue
		}
		require.Len(t, sessions, 1, name)
		require.Equal(t, cred.ID, sessions[0].ID, name)
		require.Equal(t, cred.Token, sessions[0].Token, name)
		require.Len(t, clients, 1, name)
		require.Equal(t, client, clients[0].ID, name)
	}
}
