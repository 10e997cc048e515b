package webclient

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Browser is a client with a cookie jar.
type Browser struct {
	T      testing.TB
	Base   *url.URL
	Client *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB, s *Site) *Browser {
	t.Helper()
	transport := &http.Transport{DialContext: s.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return NewBrowserOver(t, s.URL, transport)
}

// NewBrowserOver returns a browser without cookies that uses a transport of the caller.
func NewBrowserOver(t testing.TB, address string, transport http.RoundTripper) *Browser {
	t.Helper()
	base, err := url.Parse(address)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &Browser{t, base, &http.Client{Jar: jar, Transport: transport}}
}

// At returns a browser at another site that shares the jar: both sites are nodes behind one
// address, because cookies belong to a host whatever its port.
func (br *Browser) At(s *Site) *Browser {
	other := NewBrowser(br.T, s)
	if br.Base.Scheme == "https" {
		other = NewSecureBrowser(br.T, s)
	}
	other.Client.Jar = br.Client.Jar
	return other
}

// Another returns a browser at the same site whose jar begins as a copy, such as that of a thief.
func (br *Browser) Another() *Browser {
	other := NewBrowserOver(br.T, br.Base.String(), br.Client.Transport)
	other.Client.Jar.SetCookies(br.Base, br.Client.Jar.Cookies(br.Base))
	return other
}

// WithoutSession returns a browser with a copy of the client cookie only.
func (br *Browser) WithoutSession() *Browser {
	s := br.Another()
	s.SetCookie("sid", "")
	return s
}

// WithoutJar returns a browser at the same site that neither sends nor accepts cookies.
func (br *Browser) WithoutJar() *Browser {
	client := *br.Client
	client.Jar = nil
	return &Browser{br.T, br.Base, &client}
}

// Reply is a response that was read to its end.
type Reply struct {
	Status int
	Body   string
	Header http.Header
}

// Get requests a page. Other goroutines than the test's may call it.
func (br *Browser) Get(path string, header ...string) Reply {
	rep, err := br.Try(br.T.Context(), path, header...)
	if err != nil {
		br.T.Errorf("GET %s: %v", path, err)
	}
	return rep
}

// OK requests a page, which must be answered with 200, and returns its body.
func (br *Browser) OK(path string) string {
	br.T.Helper()
	rep := br.Get(path)
	require.Equal(br.T, http.StatusOK, rep.Status, "GET %s: %s", path, rep.Body)
	return rep.Body
}

// Try requests a page with header lines: names and values in turn.
func (br *Browser) Try(ctx context.Context, path string, header ...string) (Reply, error) {
	return br.try(ctx, http.MethodGet, path, header)
}

func (br *Browser) try(ctx context.Context, method, path string, header []string) (Reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, br.Base.String()+path, nil)
	if err != nil {
		return Reply{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := br.Client.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, string(body), res.Header}, err
}

// Cookie returns the value of a cookie in the jar, "" for none.
func (br *Browser) Cookie(name string) string {
	for _, c := range br.Client.Jar.Cookies(br.Base) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SetCookie puts a cookie into the jar; an empty value removes it.
func (br *Browser) SetCookie(name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		c.MaxAge = -1
	}
	br.Client.Jar.SetCookies(br.Base, []*http.Cookie{c})
}
