package imports

import (
	"maps"
	"net/http"
)

// maxRequests is how many requests Requests returns: as many as the sessions that a request with
// cookies is searched for.
const maxRequests = 16

// Requests returns r and, if it has several cookies of one name, r with each of the others first: a
// library reads one cookie of a name, and another page may send them in another order. It returns
// 16 of them at most.
func Requests(r *http.Request) []*http.Request {
	all := []*http.Request{r}
	firsts := make(map[string]string) // the value that comes first, by the name
	for _, c := range r.Cookies() {
		first, ok := firsts[c.Name]
		switch {
		case !ok:
			firsts[c.Name] = c.Value
		case c.Value != first && len(all) < maxRequests:
			all = append(all, withFirst(r, c))
		}
	}
	return all
}

// withFirst returns r with the cookie before all others.
func withFirst(r *http.Request, c *http.Cookie) *http.Request {
	other := r.WithContext(r.Context())
	other.Header = maps.Clone(r.Header)
	other.Header["Cookie"] = append([]string{c.Name + "=" + c.Value}, r.Header["Cookie"]...)
	return other
}
