// Package apiclient calls the REST API of a sessiond.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls the API of one app. It is safe for concurrent use.
type Client struct {
	base string // with the app
	key  string
	http *http.Client
}

// ErrURL: the URL is not one of http or https.
var ErrURL = errors.New("the URL of a sessiond begins with http:// or https://")

// New returns a client of the API at an URL. key may be "", for an API without keys.
func New(base, app, key string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, ErrURL
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	return &Client{
		base: strings.TrimRight(u.String(), "/") + "/v1/" + url.PathEscape(app),
		key:  key,
		http: &http.Client{
			Transport: transport,
			// The key is for this server only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer that isn't a success.
type Error struct {
	Status int
	Detail string // what the API says
}

func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return fmt.Sprintf("the API answers with status %d", e.Status)
}

// ErrUnavailable: the API can't be reached, or its answer has broken off.
var ErrUnavailable = errors.New("the API is not available")

// ErrNotAPI: another server has answered.
var ErrNotAPI = errors.New("the answer is not that of a sessiond: the URL must be that of its API")

// Request is a call. Path is below the app, such as "/sessions". Body is sent as JSON unless it is
// nil. Member is one that the answer, a JSON object, must have; "" means that it has no body.
type Request struct {
	Method, Path string
	Member       string
	Query        url.Values
	Body         any
	Header       http.Header
}

// Call makes a call and returns the answer's body. An *Error is an answer of the API,
// ErrUnavailable that there was none, and ErrNotAPI that it is that of another server.
func (c *Client) Call(ctx context.Context, r Request) (json.RawMessage, error) {
	media := "application/json"
	if r.Member == "" {
		media = ""
	}
	res, err := c.send(ctx, r, media)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	if r.Member == "" {
		if res.StatusCode != http.StatusNoContent {
			return nil, ErrNotAPI
		}
		return nil, nil
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil || answer[r.Member] == nil {
		return nil, ErrNotAPI
	}
	return bytes.TrimSpace(body), nil
}

// send returns an answer that is a success, of the media type unless that is "".
func (c *Client) send(ctx context.Context, r Request, media string) (*http.Response, error) {
	var body io.Reader
	if r.Body != nil {
		text, err := json.Marshal(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	target := c.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, body)
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close() //nolint:errcheck // it is an error already
		var problem struct{ Detail string }
		text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		_ = json.Unmarshal(text, &problem) // another server may answer with anything
		return nil, &Error{res.StatusCode, problem.Detail}
	}
	if got, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "" && got != media {
		return nil, errors.Join(ErrNotAPI, res.Body.Close())
	}
	return res, nil
}

// unavailable returns ErrUnavailable with its cause, or that of the end of ctx.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
