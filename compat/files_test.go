package compat_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// sendWriter notes what the server's own ReadFrom gets: an *os.File, in which case it uses sendfile where there is one.
type sendWriter struct {
	http.ResponseWriter
	sent chan<- io.Reader
}

// ReadFrom implements io.ReaderFrom.
func (s sendWriter) ReadFrom(src io.Reader) (int64, error) {
	s.sent <- src
	return s.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

// fileApp serves a file of 100 kB at /files/page.txt, to requests that set a key.
func fileApp(t *testing.T, st *failingStore) (br *browser, content []byte, sent chan io.Reader) {
	t.Helper()
	dir := t.TempDir()
	content = bytes.Repeat([]byte("0123456789"), 10_000)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.txt"), content, 0o600))
	b := newBridge(t, st, nil)
	files := http.StripPrefix("/files/", http.FileServer(http.Dir(dir)))
	mux := pages(b)
	mux.Handle("/files/", do(b, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("path", r.URL.Path)
		files.ServeHTTP(w, r)
	}))
	mux.Handle("/public/", http.StripPrefix("/public/", http.FileServer(http.Dir(dir))))
	h := b.Handler(mux)
	sent = make(chan io.Reader, 10)
	return newBrowser(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(sendWriter{w, sent}, r)
	}))), content, sent
}

func TestFileServer(t *testing.T) {
	const page = "/files/page.txt"
	br, content, sent := fileApp(t, newStore())
	whole := br.get(page)
	require.Equal(t, http.StatusOK, whole.status)
	require.Equal(t, string(content), whole.body)
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(whole.header))
	require.Equal(t, page, br.value("path"))
	limited, ok := wait(t, sent).(*io.LimitedReader)
	require.True(t, ok)
	require.IsType(t, &os.File{}, limited.R, "the file reaches the server as a file")

	part := br.get(page, "Range", "bytes=5-14")
	require.Equal(t, http.StatusPartialContent, part.status)
	require.Equal(t, "5678901234", part.body)
	require.Equal(t, "bytes 5-14/100000", part.header.Get("Content-Range"))

	none := br.get(page, "Range", "bytes=200000-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, none.status)

	parts := br.get(page, "Range", "bytes=0-1,10-11")
	require.Equal(t, http.StatusPartialContent, parts.status)
	require.Contains(t, parts.header.Get("Content-Type"), "multipart/byteranges")

	fresh := br.get(page, "If-Modified-Since", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	require.Equal(t, http.StatusNotModified, fresh.status)
	require.Empty(t, fresh.body)

	head := br.do(http.MethodHead, page, nil)
	require.NoError(t, head.err)
	require.Equal(t, http.StatusOK, head.status)
	require.Equal(t, "100000", head.header.Get("Content-Length"))

	require.Equal(t, http.StatusNotFound, br.get("/files/missing.txt").status)
}

func TestG3_FileIsNotSentWhenTheSessionCantBeStored(t *testing.T) {
	st := newStore()
	br, _, sent := fileApp(t, st)
	st.breakDown()
	for _, header := range [][]string{nil, {"Range", "bytes=0-9"}} {
		rep := br.get("/files/page.txt", header...)
		require.Equal(t, http.StatusServiceUnavailable, rep.status)
		require.NotContains(t, rep.body, "0123456789")
		require.Empty(t, rep.header.Get("Last-Modified"))
	}
	require.Empty(t, sent)
}

// Static files cost no store access, and stay cacheable once the browser has its client cookie.
func TestFilesWithoutASession(t *testing.T) {
	st := newStore()
	br, content, _ := fileApp(t, st)
	st.breakDown()
	require.Equal(t, string(content), br.ok("/public/page.txt"))
	again := br.get("/public/page.txt")
	require.Equal(t, string(content), again.body)
	require.Empty(t, again.header.Get("Set-Cookie"))
	require.Empty(t, again.header.Get("Cache-Control"))
	require.Empty(t, again.header.Get("Vary"))
}
