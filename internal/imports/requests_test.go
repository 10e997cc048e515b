package imports_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/imports"
)

// sent returns a request with a Cookie header for each line.
func sent(lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Cookie"] = lines
	return r
}

// firsts returns the cookie of the name that a library finds in each of the requests.
func firsts(t *testing.T, r *http.Request, name string) (values []string) {
	t.Helper()
	for _, each := range imports.Requests(r) {
		c, err := each.Cookie(name)
		require.NoError(t, err)
		values = append(values, c.Value)
	}
	return values
}

func TestEachCookieOfANameComesFirstOnce(t *testing.T) {
	require.Len(t, imports.Requests(sent()), 1)
	r := sent("old=1; other=a; old=2", "old=3; old=1")
	require.Equal(t, []string{"1", "2", "3"}, firsts(t, r, "old"))
	require.Equal(t, []string{"a", "a", "a"}, firsts(t, r, "other"))
	require.Equal(t, []string{"old=1; other=a; old=2", "old=3; old=1"}, r.Header["Cookie"], "the request is as it was")
}

func TestRequestsAreBounded(t *testing.T) {
	var lines []string
	for n := range 1000 {
		lines = append(lines, fmt.Sprintf("old=%d", n))
	}
	require.Len(t, imports.Requests(sent(lines...)), 16)
}
