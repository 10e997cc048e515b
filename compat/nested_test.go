package compat_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// nested is an application with two Bridges around it, as when one half of it belongs to a component that has sessions of its own.
type nested struct {
	outerStore, innerStore *failingStore
	br                     *browser
}

// newNested serves /o/… and /i/… with the pages of the outer and the inner Bridge, and /do with both.
func newNested(t *testing.T, act func(w http.ResponseWriter, r *http.Request, outer, inner *bridge.Session)) *nested {
	t.Helper()
	n := &nested{outerStore: newStore(), innerStore: newStore()}
	outer := newBridge(t, n.outerStore, &bridge.Options{Name: "outer"})
	inner := newBridge(t, n.innerStore, &bridge.Options{Name: "inner"})
	mux := http.NewServeMux()
	mux.Handle("/o/", http.StripPrefix("/o", pages(outer)))
	mux.Handle("/i/", http.StripPrefix("/i", pages(inner)))
	mux.Handle("/do", do(outer, func(w http.ResponseWriter, r *http.Request, o *bridge.Session) {
		do(inner, func(w http.ResponseWriter, r *http.Request, i *bridge.Session) { act(w, r, o, i) })(w, r)
	}))
	n.br = newBrowser(t, serve(t, outer.Handler(inner.Handler(mux))))
	return n
}

func setBoth(w http.ResponseWriter, r *http.Request, outer, inner *bridge.Session) {
	outer.Set("k", r.URL.RawQuery)
	inner.Set("k", r.URL.RawQuery)
	_, _ = io.WriteString(w, "ok")
}

func TestNestedBridgesHaveASessionEach(t *testing.T) {
	n := newNested(t, setBoth)
	rep := n.br.get("/do?v")
	require.Equal(t, "ok", rep.body)
	require.ElementsMatch(t, []string{"outer", "outer.cid", "inner", "inner.cid"}, setCookies(rep.header))
	require.Equal(t, "v", n.br.ok("/o/get?k"))
	require.Equal(t, "v", n.br.ok("/i/get?k"))

	n.br.ok("/o/set?k=changed")
	require.Equal(t, "v", n.br.ok("/i/get?k"))
	n.br.ok("/i/logout")
	require.Equal(t, "none", n.br.ok("/i/get?k"))
	require.Equal(t, "changed", n.br.ok("/o/get?k"))
}

// The inner one commits first. If the outer one can't, the client gets its error all the same.
func TestG3_NestedBridgesFailEachForItself(t *testing.T) {
	n := newNested(t, setBoth)
	n.br.ok("/do?first")
	n.innerStore.breakDown()
	rep := n.br.get("/do?second")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.NotContains(t, rep.body, "ok")
	require.Equal(t, "second", n.br.ok("/o/get?k"), "the outer one stores its part before the error leaves")
	require.Equal(t, "first", n.br.ok("/i/get?k"))

	n.innerStore.heal()
	n.outerStore.breakDown()
	rep = n.br.get("/do?third")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.NotContains(t, rep.body, "ok")
	require.Equal(t, "second", n.br.ok("/o/get?k"))
}

func TestG3_NestedBridgesAbortEachForItself(t *testing.T) {
	n := newNested(t, func(w http.ResponseWriter, r *http.Request, outer, inner *bridge.Session) {
		w.(http.Flusher).Flush()
		outer.Set("k", r.URL.RawQuery)
		inner.Set("k", r.URL.RawQuery)
	})
	n.br.ok("/o/set?x=y")
	n.br.ok("/i/set?x=y")
	n.br.ok("/do?first")
	require.Equal(t, "first", n.br.ok("/o/get?k"))
	require.Equal(t, "first", n.br.ok("/i/get?k"))

	n.outerStore.breakDown()
	n.br.broken("/do?second")
	require.Equal(t, "first", n.br.ok("/o/get?k"))
	require.Equal(t, "second", n.br.ok("/i/get?k"))
	n.outerStore.heal()

	// The inner one's abort is a panic to the outer one, which stores nothing more then.
	n.innerStore.breakDown()
	n.br.broken("/do?third")
	require.Equal(t, "first", n.br.ok("/o/get?k"))
	require.Equal(t, "second", n.br.ok("/i/get?k"))
}

// The same Bridge twice is the same as once.
func TestHandlerTwice(t *testing.T) {
	st := newStore()
	b := newBridge(t, st, nil)
	mux := pages(b)
	br := newBrowser(t, serve(t, b.Handler(http.StripPrefix("", b.Handler(b.Handler(mux))))))
	rep := br.get("/set?k=v")
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
	require.Equal(t, "v", br.value("k"))
	require.Equal(t, 1, st.stored())
	st.breakDown()
	require.Equal(t, http.StatusServiceUnavailable, br.get("/set?k=lost").status)
}

func TestNestedBridgesAtAnUpgrade(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		outer := newBridge(t, newStore(), &bridge.Options{Name: "outer"})
		inner := newBridge(t, newStore(), &bridge.Options{Name: "inner"})
		mux := http.NewServeMux()
		mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
			header := outer.HandshakeHeader(r)
			for name, values := range inner.HandshakeHeader(r) {
				header[name] = append(header[name], values...)
			}
			if p, err := lib.upgrade(w, r, header); err == nil {
				p.serve(func(message string) string { return "echo " + message })
			}
		})
		ws, res := newBrowser(t, serve(t, outer.Handler(inner.Handler(mux)))).dial("/ws")
		cookies := []string{"outer.cid", "inner.cid"}
		if lib.oneOfEach {
			cookies = cookies[:1]
		}
		require.Equal(t, cookies, setCookies(res.Header))
		require.Equal(t, "echo a", ws.ask("a"))
	})
}
