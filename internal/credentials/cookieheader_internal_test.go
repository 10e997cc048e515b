package credentials

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzCookieHeader: the values are those that net/http reads.
func FuzzCookieHeader(f *testing.F) {
	f.Add("sid=1; sid=2", "sid=3")
	f.Add(` sid = "a b" ;;=x; sid; other=4; sid=a"b; sid="; sid=""`, "\tsid\t=\t5\t;sid=6")
	f.Add("sid=\\;sid=\x7f;sid=\xc3\xa9;SID=1", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.Count(first+second, ";") > 2000 {
			return // net/http may read none of them
		}
		r := &http.Request{Header: http.Header{"Cookie": {first, second}}}
		var want, got []string
		for _, c := range r.CookiesNamed("sid") {
			want = append(want, c.Value)
		}
		cookies := cookiesNamed(r, "sid")
		for value, ok := cookies.next(); ok; value, ok = cookies.next() {
			got = append(got, value)
		}
		require.Equal(t, want, got)

		other := &http.Request{Header: http.Header{"Cookie": {second}}}
		var others []string
		for _, c := range other.CookiesNamed("sid") {
			others = append(others, c.Value)
		}
		same, some := cookiesNamed(r, "sid").equal(cookiesNamed(other, "sid"))
		require.Equal(t, slices.Equal(want, others), same)
		require.Equal(t, len(want) > 0, some)
	})
}
