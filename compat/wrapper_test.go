package compat_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// gzipped compresses every answer, the way middlewares of applications do: with a ResponseWriter that has the three methods and Flush.
func gzipped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
		z := gzip.NewWriter(w)
		defer z.Close()
		h.ServeHTTP(&gzipWriter{w, z}, r)
	})
}

type gzipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (g *gzipWriter) Write(p []byte) (int, error) { return g.z.Write(p) }

func (g *gzipWriter) Flush() {
	_ = g.z.Flush()
	g.ResponseWriter.(http.Flusher).Flush()
}

func gunzip(t *testing.T, rep reply) string {
	t.Helper()
	require.Equal(t, "gzip", rep.header.Get("Content-Encoding"))
	z, err := gzip.NewReader(strings.NewReader(rep.body))
	require.NoError(t, err)
	data, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(data)
}

// buffered holds the whole answer back, to send it with its length.
func buffered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bw := &bufferedWriter{ResponseWriter: w, code: http.StatusOK}
		h.ServeHTTP(bw, r)
		w.WriteHeader(bw.code)
		_, _ = w.Write(bw.body.Bytes())
	})
}

type bufferedWriter struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

func (b *bufferedWriter) WriteHeader(code int)        { b.code = code }
func (b *bufferedWriter) Write(p []byte) (int, error) { return b.body.Write(p) }

// unwrapping is the least that a wrapper can do: http.ResponseController finds the rest.
func unwrapping(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(plainWriter{w}, r) })
}

type plainWriter struct{ http.ResponseWriter }

func (p plainWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func TestWrappersOfTheApplication(t *testing.T) {
	wrappers := map[string]func(http.Handler) http.Handler{"gzip": gzipped, "buffer": buffered, "unwrap": unwrapping}
	for name, wrapper := range wrappers {
		for _, side := range sides {
			t.Run(name+" "+side.name, func(t *testing.T) {
				st := newStore()
				outside, inside := side.put(wrapper)
				read := func(rep reply) string {
					if rep.header.Get("Content-Encoding") == "gzip" {
						return gunzip(t, rep)
					}
					return rep.body
				}
				br := appWithin(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
					s.Set("k", r.URL.RawQuery)
					_, _ = io.WriteString(w, "ok")
				}, outside, inside)
				rep := br.get("/do?v")
				require.Equal(t, http.StatusOK, rep.status)
				require.Equal(t, "ok", read(rep))
				require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
				require.Equal(t, "v", read(br.get("/get?k")))

				st.breakDown()
				rep = br.get("/do?lost")
				require.Equal(t, http.StatusServiceUnavailable, rep.status)
				require.Contains(t, read(rep), "could not be stored")
				st.heal()
				require.Equal(t, "v", read(br.get("/get?k")))
			})
		}
	}
}

// The headers of those outside of the Bridge belong to them: an error in place of the handler's answer keeps them.
func TestG3_503KeepsTheHeadersOfOuterMiddlewares(t *testing.T) {
	st := newStore()
	outside := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
			w.Header().Set("X-Request-Id", "7")
			http.SetCookie(w, &http.Cookie{Name: "theirs", Value: "1"})
			h.ServeHTTP(w, r)
		})
	}
	br := appWithin(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		w.Header().Set("X-Request-Id", "8")
		w.Header().Set("Etag", `"x"`)
		http.SetCookie(w, &http.Cookie{Name: "ours", Value: "1"})
		s.Set("k", 1)
	}, outside, unchanged)
	st.breakDown()
	rep := br.get("/do")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.Equal(t, "max-age=31536000", rep.header.Get("Strict-Transport-Security"))
	require.Equal(t, "7", rep.header.Get("X-Request-Id"))
	require.Empty(t, rep.header.Get("Etag"))
	require.Contains(t, setCookies(rep.header), "theirs")
	require.NotContains(t, setCookies(rep.header), "ours")
}

// A wrapper outside that can do little gives one that can do as little: nobody is promised an interface that isn't there.
func TestWrapperKeepsExactlyTheInterfacesBelow(t *testing.T) {
	type abilities struct{ flusher, hijacker, readerFrom, stringWriter bool }
	of := func(w http.ResponseWriter) (a abilities) {
		_, a.flusher = w.(http.Flusher)
		_, a.hijacker = w.(http.Hijacker)
		_, a.readerFrom = w.(io.ReaderFrom)
		_, a.stringWriter = w.(io.StringWriter)
		return a
	}
	for _, outside := range []func(http.Handler) http.Handler{unchanged, gzipped, buffered} {
		found := make(chan abilities, 2)
		note := func(h http.Handler) http.Handler {
			return outside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				found <- of(w)
				h.ServeHTTP(w, r)
			}))
		}
		br := appWithin(t, newStore(), func(w http.ResponseWriter, _ *http.Request, _ *bridge.Session) { found <- of(w) }, note, unchanged)
		br.get("/do")
		require.Equal(t, wait(t, found), wait(t, found))
	}
}

// A ResponseController reaches through wrappers, but not past the commit.
func TestG3_ResponseControllerDoesNotReachPastTheCommit(t *testing.T) {
	for name, reach := range map[string]func(w http.ResponseWriter) error{
		"Flush": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"Hijack": func(w http.ResponseWriter) error {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			defer conn.Close()
			_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return buf.Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore()
			errs := make(chan error, 1)
			br := appWithin(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				s.Set("k", r.URL.RawQuery)
				errs <- reach(w)
			}, unwrapping, unwrapping)
			br.ok("/set?k=v")
			br.ok("/do?changed")
			require.NoError(t, wait(t, errs))
			require.Equal(t, "changed", br.value("k"))
			st.breakDown()
			require.Equal(t, http.StatusServiceUnavailable, br.get("/do?lost").status)
			require.ErrorIs(t, wait(t, errs), bridge.ErrStoreUnavailable)
		})
	}
}

func TestMaxBytesHandler(t *testing.T) {
	limited := func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 10) }
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			outside, inside := side.put(limited)
			br := appWithin(t, newStore(), func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				data, err := io.ReadAll(r.Body)
				var tooLarge *http.MaxBytesError
				if errors.As(err, &tooLarge) {
					s.Set("refused", tooLarge.Limit)
					http.Error(w, "too large", http.StatusRequestEntityTooLarge)
					return
				}
				s.Set("body", string(data))
			}, outside, inside)
			require.Equal(t, http.StatusOK, br.do(http.MethodPost, "/do", strings.NewReader("short")).status)
			require.Equal(t, "short", br.value("body"))
			require.Equal(t, http.StatusRequestEntityTooLarge, br.do(http.MethodPost, "/do", strings.NewReader("longer than ten")).status)
			require.Equal(t, "10", br.value("refused"))
		})
	}
}

func TestStripPrefixAndPatterns(t *testing.T) {
	b := newBridge(t, newStore(), nil)
	inner := http.NewServeMux()
	inner.HandleFunc("GET /items/{id}", do(b, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("item", r.PathValue("id"))
		_, _ = io.WriteString(w, r.Pattern)
	}))
	mux := pages(b)
	mux.Handle("/shop/", http.StripPrefix("/shop", inner))
	t.Run("below the Bridge", func(t *testing.T) {
		br := newBrowser(t, serve(t, b.Handler(mux)))
		require.Equal(t, "GET /items/{id}", br.ok("/shop/items/7"))
		require.Equal(t, "7", br.value("item"))
		require.Equal(t, http.StatusMethodNotAllowed, br.do(http.MethodPost, "/shop/items/7", nil).status)
	})
	t.Run("above the Bridge", func(t *testing.T) {
		site := http.NewServeMux()
		site.Handle("/app/{rest...}", http.StripPrefix("/app", b.Handler(mux)))
		br := newBrowser(t, serve(t, site))
		require.Equal(t, "GET /items/{id}", br.ok("/app/shop/items/8"))
		require.Equal(t, "8", br.ok("/app/get?item"))
	})
}
