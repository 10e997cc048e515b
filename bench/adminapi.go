package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// adminGroups measure what the REST API adds to a call of the library: authentication, routing,
// JSON, and for changes the log. There is no network in them.
func adminGroups() []group {
	open := func(op func(*apiSite) (*subject, error)) func() (*subject, error) {
		return func() (*subject, error) {
			s, err := openAPI()
			if err != nil {
				return nil, err
			}
			return op(s)
		}
	}
	rows := []row{{"", nsPerOp, extraUnder(60 * time.Microsecond)}}
	return []group{
		{
			name: "admin/get", ours: side{"REST", open((*apiSite).restGet)},
			peer: side{"library", open((*apiSite).get)}, rows: rows,
		},
		{
			name: "admin/patch", ours: side{"REST", open((*apiSite).restPatch)},
			peer: side{"library", open((*apiSite).merge)}, rows: rows,
		},
		{
			name: "admin/resolve", ours: side{"REST", open((*apiSite).restResolve)},
			peer: side{"library", open((*apiSite).open)}, rows: rows,
		},
	}
}

const apiSecret = "bench-abcdefghijklmnopqrstuvwxyz"

// apiSite is a Bridge with a session, and the API over it.
type apiSite struct {
	b    *bridge.Bridge
	h    http.Handler
	cred bridge.Credentials
}

func openAPI() (*apiSite, error) {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	if err != nil {
		return nil, err
	}
	h, err := admin.Handler(b, &admin.Options{
		Keys:    []admin.Key{{Name: "bench", Secret: apiSecret, Scope: admin.ScopeWrite}},
		KeyRate: admin.Off, AddrRate: admin.Off, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	cred, err := b.Create(context.Background(), bridge.NewSession{
		UserID: "ada", Data: map[string]any{"n": planted, "theme": "dark", "lang": "en"},
	})
	return &apiSite{b, h, cred}, err
}

func (s *apiSite) close() error { return s.b.Shutdown(context.Background()) }

// answerSink is a ResponseWriter that keeps the status.
type answerSink struct {
	header http.Header
	status int
	bytes  int
}

func (a *answerSink) Header() http.Header    { return a.header }
func (a *answerSink) WriteHeader(status int) { a.status = status }
func (a *answerSink) Write(p []byte) (int, error) {
	a.bytes += len(p)
	return len(p), nil
}

// rest returns a subject that sends the request again and again. body returns the nth body.
func (s *apiSite) rest(method, path string, body func(n int) string, check func(n int) error) *subject {
	sent, answered := 0, 0
	at := &url.URL{Path: "/v1/main/" + path}
	return &subject{
		run: func(n int) error {
			for range n {
				sent++
				text := body(sent)
				r := &http.Request{
					Method: method, URL: at, Host: "localhost", RemoteAddr: "127.0.0.1:1", Proto: "HTTP/1.1",
					ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(text)),
					Body: io.NopCloser(bytes.NewReader([]byte(text))),
					Header: http.Header{
						"Authorization": {"Bearer " + apiSecret}, "Content-Type": {"application/json"},
					},
				}
				w := &answerSink{header: make(http.Header)}
				s.h.ServeHTTP(w, r)
				if w.status != http.StatusOK || w.bytes == 0 {
					return fmt.Errorf("the API answers with %d", w.status)
				}
				answered++
			}
			return nil
		},
		check: func(n int) error { return cmp.Or(same("answers", answered, n), check(n)) }, close: s.close,
	}
}

func (s *apiSite) restGet() (*subject, error) {
	return s.rest(http.MethodGet, "sessions/"+s.cred.SessionID, func(int) string { return "" }, s.unchanged), nil
}

func (s *apiSite) restPatch() (*subject, error) {
	body := func(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }
	return s.rest(http.MethodPatch, "sessions/"+s.cred.SessionID+"/data", body, s.counted), nil
}

func (s *apiSite) restResolve() (*subject, error) {
	body := fmt.Sprintf(`{"token":%q}`, s.cred.Token)
	return s.rest(http.MethodPost, "sessions/resolve", func(int) string { return body }, s.unchanged), nil
}

// call returns a subject that calls the library.
func (s *apiSite) call(fn func(ctx context.Context, n int) error, check func(n int) error) *subject {
	called, returned := 0, 0
	return &subject{
		run: func(n int) error {
			for range n {
				called++
				if err := fn(context.Background(), called); err != nil {
					return err
				}
				returned++
			}
			return nil
		},
		check: func(n int) error { return cmp.Or(same("calls", returned, n), check(n)) }, close: s.close,
	}
}

func (s *apiSite) get() (*subject, error) {
	return s.call(func(ctx context.Context, _ int) error {
		got, err := s.b.GetByID(ctx, s.cred.SessionID)
		if err == nil && got.UserID() != "ada" {
			err = errAbsent
		}
		return err
	}, s.unchanged), nil
}

func (s *apiSite) merge() (*subject, error) {
	return s.call(func(ctx context.Context, n int) error {
		_, err := s.b.MergeByID(ctx, s.cred.SessionID, map[string]any{"n": n})
		return err
	}, s.counted), nil
}

func (s *apiSite) open() (*subject, error) {
	return s.call(func(ctx context.Context, _ int) error {
		_, err := s.b.Open(ctx, s.cred)
		return err
	}, s.unchanged), nil
}

// unchanged checks that the session is as it was.
func (s *apiSite) unchanged(int) error { return s.has(planted) }

// counted checks that each operation was stored.
func (s *apiSite) counted(n int) error { return s.has(n) }

func (s *apiSite) has(want int) error {
	got, err := s.b.GetByID(context.Background(), s.cred.SessionID)
	if err != nil {
		return err
	}
	n, _ := got.Get("n")
	stored, ok := n.(int64)
	if !ok {
		return errors.New("the session has no count")
	}
	return same("count in the session", int(stored), want)
}
