package responsewriter_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// plain is a ResponseWriter without optional interfaces.
type plain struct{ http.ResponseWriter }

type flusher struct {
	plain
	flushed *int
}

func (f flusher) Flush() { *f.flushed++ }

type flushErrorer struct {
	plain
	flushed *int
}

func (f flushErrorer) FlushError() error { *f.flushed++; return nil }

type hijacker struct {
	plain
	conn net.Conn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

type flushingHijacker struct {
	flusher
	conn net.Conn
}

func (h flushingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

func newFlushingHijacker() flushingHijacker {
	return flushingHijacker{flusher: flusher{flushed: new(int)}}
}

// above is a middleware's writer that offers nothing but Unwrap.
type above struct{ plain }

func (a above) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func over(w http.ResponseWriter) http.ResponseWriter { return above{plain{w}} }

var writers = map[string]http.ResponseWriter{
	"plain":             plain{},
	"flusher":           flusher{flushed: new(int)},
	"flush errorer":     flushErrorer{flushed: new(int)},
	"hijacker":          hijacker{},
	"flushing hijacker": flushingHijacker{},
}

func TestExpose(t *testing.T) {
	for name, c := range map[string]struct {
		w             http.ResponseWriter
		flush, hijack bool
		staysAsItIs   bool
	}{
		"plain":                       {w: plain{}, staysAsItIs: true},
		"nothing below":               {w: over(plain{}), staysAsItIs: true},
		"nil below":                   {w: over(nil), staysAsItIs: true},
		"offers both":                 {w: newFlushingHijacker(), flush: true, hijack: true, staysAsItIs: true},
		"flusher below":               {w: over(flusher{flushed: new(int)}), flush: true},
		"flush errorer far below":     {w: over(over(flushErrorer{flushed: new(int)})), flush: true},
		"hijacker below":              {w: over(hijacker{}), hijack: true},
		"both below":                  {w: over(newFlushingHijacker()), flush: true, hijack: true},
		"both below, in two writers":  {w: over(flusherOver{over(hijacker{}), new(int)}), flush: true, hijack: true},
		"flusher above, hijack below": {w: flusherOver{over(hijacker{}), new(int)}, flush: true, hijack: true},
	} {
		w := responsewriter.Expose(c.w)
		_, flushes := w.(http.Flusher)
		if _, ok := w.(interface{ FlushError() error }); ok {
			flushes = true
		}
		_, hijacks := w.(http.Hijacker)
		require.Equal(t, c.flush, flushes, name)
		require.Equal(t, c.hijack, hijacks, name)
		require.Equal(t, c.staysAsItIs, w == c.w, name)
		if flushes {
			require.NoError(t, http.NewResponseController(w).Flush(), name)
		}
		if hijacks {
			_, _, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err, name)
		}
	}
}

// flusherOver flushes by itself and has another writer below.
type flusherOver struct {
	http.ResponseWriter
	flushed *int
}

func (f flusherOver) Flush()                      { *f.flushed++ }
func (f flusherOver) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func TestFlushReachesNoFurtherThanTheWriter(t *testing.T) {
	flushed := new(int)
	for _, w := range []http.ResponseWriter{flusher{flushed: flushed}, flushErrorer{flushed: flushed}} {
		*flushed = 0
		responsewriter.Flush(w)
		require.Equal(t, 1, *flushed)
		responsewriter.Flush(over(w))
		responsewriter.Flush(responsewriter.Expose(over(w)))
		require.Equal(t, 1, *flushed, "the writer above may hold back the answer")
	}
	responsewriter.Flush(plain{})
}

// The writers of frameworks, as far as they tell that a response has begun.
type (
	ginLike struct {
		plain
		written bool
		now     *int
	}
	chiLike struct {
		plain
		bytes int
	}
	EchoLike struct {
		plain
		Committed bool
	}
)

func (g ginLike) Written() bool     { return g.written }
func (g ginLike) WriteHeaderNow()   { *g.now++ }
func (c chiLike) BytesWritten() int { return c.bytes }
func (e *EchoLike) Before(func())   {}
func (e *EchoLike) After(func())    {}

func TestBegun(t *testing.T) {
	for name, c := range map[string]struct {
		w     http.ResponseWriter
		begun bool
	}{
		"nil":             {nil, false},
		"net/http":        {httptest.NewRecorder(), false},
		"gin":             {ginLike{written: true}, true},
		"gin, not yet":    {ginLike{}, false},
		"chi":             {chiLike{bytes: 1}, true},
		"chi, not yet":    {chiLike{}, false},
		"echo":            {&EchoLike{Committed: true}, true},
		"echo, not yet":   {&EchoLike{}, false},
		"far below":       {over(over(ginLike{written: true})), true},
		"below, not yet":  {over(over(ginLike{})), false},
		"no Unwrap above": {plain{ginLike{written: true}}, false},
	} {
		require.Equal(t, c.begun, responsewriter.Begun(c.w), name)
	}
}

func TestSendHeader(t *testing.T) {
	now := new(int)
	responsewriter.SendHeader(over(ginLike{now: now}))
	require.Equal(t, 1, *now)
	responsewriter.SendHeader(over(plain{}))
	responsewriter.SendHeader(nil)
	gin := ginLike{plain: plain{httptest.NewRecorder()}, now: now}
	responsewriter.Wrap(gin, &gate{}).WriteHeader(http.StatusSwitchingProtocols)
	require.Equal(t, 2, *now, "an upgrade has no body that would send it")
}

func TestUpgradeWithholdsErrorAnswers(t *testing.T) {
	rec := httptest.NewRecorder()
	u := &responsewriter.Upgrade{ResponseWriter: rec}
	http.Error(u, "not a handshake", http.StatusUpgradeRequired)
	require.Equal(t, http.StatusUpgradeRequired, u.Withheld())
	require.Empty(t, rec.Body)
	require.Empty(t, rec.Header())
	require.Equal(t, http.StatusOK, rec.Code, "nothing was written")
}

func TestUpgradePasses(t *testing.T) {
	rec, now := httptest.NewRecorder(), new(int)
	u := &responsewriter.Upgrade{ResponseWriter: ginLike{plain: plain{rec}, now: now}}
	u.WriteHeader(http.StatusSwitchingProtocols)
	require.Zero(t, u.Withheld())
	require.Equal(t, http.StatusSwitchingProtocols, rec.Code)
	require.Equal(t, 1, *now)

	rec = httptest.NewRecorder()
	_, err := (&responsewriter.Upgrade{ResponseWriter: rec}).Write([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, "x", rec.Body.String())
}

func TestOnHijack(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	replace := func(conn net.Conn, _ *bufio.ReadWriter) net.Conn {
		require.Equal(t, server, conn)
		return client
	}
	for _, below := range []http.ResponseWriter{hijacker{conn: server}, over(over(hijacker{conn: server}))} {
		w := responsewriter.OnHijack(below, replace)
		conn, _, err := w.(http.Hijacker).Hijack()
		require.NoError(t, err)
		require.Equal(t, client, conn)
	}
	for _, below := range []http.ResponseWriter{plain{}, over(plain{})} {
		require.Equal(t, below, responsewriter.OnHijack(below, replace), "that it can't be hijacked must show")
	}
	now := new(int)
	responsewriter.SendHeader(responsewriter.OnHijack(over(struct {
		ginLike
		http.Hijacker
	}{ginLike{now: now}, hijacker{conn: server}}), replace))
	require.Equal(t, 1, *now)
}
