package bridgetest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testserver"
)

// Client is a browser: it has a cookie jar, follows redirects, and opens WebSockets. Its methods
// fail the test, so only the test's goroutine may call them. A page that a test loads in another
// goroutine is loaded through HTTP.
type Client struct {
	// URL is the address of the application, to which the paths of requests are appended. Set
	// another one, before the first request, for an Options.Domain or an Options.Path of the test.
	// Its scheme is https. Default: https://app.test.
	URL string
	// Header is sent with each request and each handshake, such as an Origin. It may be changed.
	Header http.Header
	// HTTP makes the requests. Its CheckRedirect may be set to stop at a redirect, and its Do
	// called for a response that is read piece by piece.
	HTTP *http.Client

	t testing.TB
	b *bridge.Bridge
}

// NewClient returns a browser without cookies for an application: its complete handler, of which
// b.Handler or a handler of sockets is a part.
//
// The application is served until the test ends, by an http.Server without a network, so a request
// takes the same way as in production, and the test may run in a synctest bubble. To the handler it
// looks as if the client had come over TLS, from 192.0.2.1: cookies are Secure unless
// Options.Secure is SecureNever.
func NewClient(t testing.TB, b *bridge.Bridge, app http.Handler) *Client {
	t.Helper()
	if app == nil {
		t.Fatalf("bridgetest: NewClient: the handler is nil: pass the handler of the application")
	}
	c := newClient(t, b)
	dial := testserver.Serve(t, &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			overTLS(r)
			app.ServeHTTP(w, r)
		}),
		ErrorLog: log.New(keepLines(t, "the http.Server"), "", 0),
	})
	transport := &http.Transport{DialTLSContext: dial, DialContext: refusePlain}
	c.HTTP.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

// newClient returns a Client without a server.
func newClient(t testing.TB, b *bridge.Bridge) *Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("bridgetest: %v", err)
	}
	return &Client{URL: "https://app.test", Header: http.Header{}, HTTP: &http.Client{Jar: jar}, t: t, b: b}
}

func refusePlain(_ context.Context, _, addr string) (net.Conn, error) {
	return nil, fmt.Errorf("bridgetest: %s: a Client reaches its application only by https", addr)
}

func overTLS(r *http.Request) {
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: r.Host}
	r.RemoteAddr = "192.0.2.1:1234"
}

// Response is a response that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   string

	t testing.TB
	r *http.Request
}

// Expect fails the test unless the response has the status, and returns the response.
func (res *Response) Expect(status int) *Response {
	res.t.Helper()
	if res.Status != status {
		res.t.Fatalf("bridgetest: %s %s: the status is %d instead of %d: %s",
			res.r.Method, res.r.URL, res.Status, status, res.Body)
	}
	return res
}

// JSON decodes the body into v.
func (res *Response) JSON(v any) {
	res.t.Helper()
	if err := json.Unmarshal([]byte(res.Body), v); err != nil {
		res.t.Fatalf("bridgetest: %s %s: the body is not the expected JSON: %v: %s", res.r.Method, res.r.URL, err, res.Body)
	}
}

// Get requests a page.
func (c *Client) Get(path string) *Response {
	c.t.Helper()
	return c.Do(c.NewRequest(http.MethodGet, path, nil))
}

// PostForm sends a form. Nil values are an empty one.
func (c *Client) PostForm(path string, values url.Values) *Response {
	c.t.Helper()
	return c.Post(path, "application/x-www-form-urlencoded", values.Encode())
}

// PostJSON sends v as JSON.
func (c *Client) PostJSON(path string, v any) *Response {
	c.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		c.t.Fatalf("bridgetest: POST %s: %v", path, err)
	}
	return c.Post(path, "application/json", string(data))
}

// Post sends a body.
func (c *Client) Post(path, contentType, body string) *Response {
	c.t.Helper()
	r := c.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return c.Do(r)
}

// NewRequest returns a request for Do, with the Client's Header. It ends with the test.
func (c *Client) NewRequest(method, path string, body io.Reader) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+path, body)
	if err != nil {
		c.t.Fatalf("bridgetest: %v", err)
	}
	r.Header = c.header()
	return r
}

// Do sends a request and reads the response, Limit at most.
func (c *Client) Do(r *http.Request) *Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), Limit)
	defer cancel()
	res, err := c.HTTP.Do(r.WithContext(ctx))
	if err != nil {
		c.t.Fatalf("bridgetest: %v", err)
	}
	return c.read(res)
}

func (c *Client) read(res *http.Response) *Response {
	c.t.Helper()
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("bridgetest: %s %s: read the response: %v", res.Request.Method, res.Request.URL, err)
	}
	return &Response{res.StatusCode, res.Header, string(body), c.t, res.Request}
}

// header returns a copy of Header, which may be nil.
func (c *Client) header() http.Header {
	h := http.Header{}
	maps.Copy(h, c.Header.Clone())
	return h
}

// Cookies returns the cookies of the browser for URL: their names and values.
func (c *Client) Cookies() []*http.Cookie {
	c.t.Helper()
	return c.HTTP.Jar.Cookies(c.url())
}

// SetCookie puts a cookie into the browser. One whose MaxAge is negative is removed.
func (c *Client) SetCookie(cookie *http.Cookie) {
	c.t.Helper()
	c.HTTP.Jar.SetCookies(c.url(), []*http.Cookie{cookie})
}

func (c *Client) url() *url.URL {
	c.t.Helper()
	u, err := url.Parse(c.URL + "/")
	if err != nil {
		c.t.Fatalf("bridgetest: Client.URL: %v", err)
	}
	return u
}

// LogIn logs the user in, without a login page of the application: what it would store with the
// session besides is left to Update. As with every login, sockets that are open are parted from the
// session.
func (c *Client) LogIn(userID string) {
	c.t.Helper()
	c.Update(func(s *bridge.Session) error { return s.Login(userID) })
}

// Update changes the browser's session, as a request to a page of the application does: fn gets
// what Bridge.Session returns. The test fails if fn fails, or if the changes can't be stored.
func (c *Client) Update(fn func(s *bridge.Session) error) {
	c.t.Helper()
	if err := c.visit(fn); err != nil {
		c.t.Fatalf("bridgetest: change the session: %v", err)
	}
}

// SessionID returns the ID of the browser's session, "" if it has none. As every request it counts
// as activity.
func (c *Client) SessionID() (id string) {
	c.t.Helper()
	c.Update(func(s *bridge.Session) error {
		if !s.IsNew() {
			id = s.ID()
		}
		return nil
	})
	return id
}

// visit runs fn in a request of the browser, which no handler of the application sees.
func (c *Client) visit(fn func(s *bridge.Session) error) error {
	u := c.url()
	r := httptest.NewRequestWithContext(context.WithoutCancel(c.t.Context()), http.MethodGet, u.String(), nil)
	r.Header = c.header()
	for _, cookie := range c.HTTP.Jar.Cookies(u) {
		r.AddCookie(cookie)
	}
	overTLS(r)
	var failed error
	w := httptest.NewRecorder()
	c.b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := c.b.Session(r)
		if err == nil {
			err = fn(s)
		}
		if err == nil {
			_, err = io.WriteString(w, "stored") // or the cause why it is not
		}
		failed = err
	})).ServeHTTP(w, r)
	c.HTTP.Jar.SetCookies(u, w.Result().Cookies())
	return failed
}
