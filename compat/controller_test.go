package compat_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func TestResponseControllerReachesTheConnection(t *testing.T) {
	errs := make(chan error, 5)
	br := app(t, newStore(), func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		s.Set("k", "v")
		c := http.NewResponseController(w)
		errs <- c.SetReadDeadline(time.Now().Add(patience))
		errs <- c.SetWriteDeadline(time.Now().Add(patience))
		errs <- c.EnableFullDuplex()
		errs <- c.Flush()
		errs <- w.(interface{ FlushError() error }).FlushError()
	})
	rep := br.get("/do")
	for range 5 {
		require.NoError(t, wait(t, errs))
	}
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
	require.Equal(t, "v", br.value("k"))
}

func TestDeadlinesHaveTheirEffect(t *testing.T) {
	errs := make(chan error, 2)
	br := app(t, newStore(), func(w http.ResponseWriter, r *http.Request, _ *bridge.Session) {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := io.ReadAll(r.Body)
		errs <- err
		_ = c.SetWriteDeadline(time.Now().Add(-time.Second))
		_, _ = io.WriteString(w, "part")
		errs <- c.Flush()
	})
	conn, err := net.Dial("tcp", br.base.Host)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "POST /do HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\n") // the body never comes
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Empty(t, answer)
	require.ErrorIs(t, wait(t, errs), os.ErrDeadlineExceeded)
	require.ErrorIs(t, wait(t, errs), os.ErrDeadlineExceeded)
}

// With full duplex, an answer streams while the request does.
func TestFullDuplex(t *testing.T) {
	br := app(t, newStore(), func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.Set("k", "v")
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			_, _ = io.WriteString(w, "echo "+lines.Text()+"\n")
			_ = c.Flush()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body, out := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, br.base.String()+"/do", body)
	require.NoError(t, err)
	go func() { _, _ = io.WriteString(out, "one\n") }()
	res, err := br.client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo one\n", line)
	_, err = io.WriteString(out, "two\n")
	require.NoError(t, err)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo two\n", line)
	require.NoError(t, out.Close())
	_, err = lines.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "v", br.value("k"))
}

func TestHijackStoresBefore(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore()
			errs := make(chan error, 2)
			br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
				s.Set("k", "changed")
				conn, buf, err := hijack(w)
				errs <- err
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				_ = buf.Flush()
				s.Set("late", "v")
				_, err = w.Write([]byte("x"))
				errs <- err
			})
			br.ok("/set?k=v")
			require.Equal(t, "ok", br.ok("/do"))
			require.NoError(t, wait(t, errs))
			require.ErrorIs(t, wait(t, errs), http.ErrHijacked)
			require.Equal(t, "changed", br.value("k"))
			require.Eventually(t, func() bool { return br.value("late") == "v" }, patience, time.Millisecond, "changes after it are stored, too")

			br.ok("/set?k=v")
			st.breakDown()
			require.Equal(t, http.StatusServiceUnavailable, br.get("/do").status)
			require.ErrorIs(t, wait(t, errs), bridge.ErrStoreUnavailable)
		})
	}
}

// Early Hints leave at once, and are not yet the answer: what changes after them is stored, and its cookies arrive.
func TestEarlyHints(t *testing.T) {
	st := newStore()
	storedAtHints := make(chan int, 2)
	br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		s.Set("before", "v")
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		storedAtHints <- st.stored()
		s.Set("after", "v")
		if err := s.Login("ada"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	var hints []textproto.MIMEHeader
	ask := func() *http.Response {
		t.Helper()
		hints = nil
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					hints = append(hints, h)
				}
				return nil
			},
		})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, br.base.String()+"/do", nil)
		require.NoError(t, err)
		res, err := br.client.Do(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	res := ask()
	require.Len(t, hints, 1)
	require.Equal(t, "</style.css>; rel=preload", hints[0].Get("Link"))
	require.Empty(t, hints[0]["Set-Cookie"])
	require.Zero(t, wait(t, storedAtHints), "hints store nothing")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(res.Header))
	require.Equal(t, "v", br.value("before"))
	require.Equal(t, "v", br.value("after"))

	st.breakDown()
	res = ask()
	require.Len(t, hints, 1)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "hints are no answer yet")
}

func TestExpectContinue(t *testing.T) {
	st := newStore()
	br := app(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		if r.URL.RawQuery == "explicit" {
			w.WriteHeader(http.StatusContinue)
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Set("body", string(data))
	})
	br.client.Transport.(*http.Transport).ExpectContinueTimeout = patience
	for _, path := range []string{"/do", "/do?explicit"} {
		continued := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }})
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, br.base.String()+path, strings.NewReader(path))
		require.NoError(t, err)
		r.Header.Set("Expect", "100-continue")
		res, err := br.client.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.True(t, continued)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, path, br.value("body"))
	}
}
