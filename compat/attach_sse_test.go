package compat_test

import (
	"net/http"
	"sync"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/sse"
)

// streams are the open ones, by the link's ID. A client sends its own words in separate requests.
type streams struct {
	b    *bridge.Bridge
	open sync.Map
}

// sseHandler is an application of server-sent events: it answers each word that is said to a stream,
// at ?to=…&word=….
func sseHandler(b *bridge.Bridge) http.Handler {
	all := &streams{b: b}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("to") {
			all.say(w, r)
			return
		}
		stream, err := sse.Open(b, w, r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		all.open.Store(stream.Link().ID(), stream)
		defer all.open.Delete(stream.Link().ID())
		stream.Serve(r.Context())
	})
}

func (all *streams) say(w http.ResponseWriter, r *http.Request) {
	own, err := all.b.Session(r)
	v, ok := all.open.Load(r.URL.Query().Get("to"))
	if err != nil || !ok || v.(*sse.Stream).Link().SessionID() != own.ID() { // others' streams aren't there
		http.NotFound(w, r)
		return
	}
	stream, word := v.(*sse.Stream), r.URL.Query().Get("word")
	stream.Link().Received(len(word))
	text, err := answer(r.Context(), stream.Link(), word)
	if err != nil {
		all.b.WriteError(w, r, err)
		return
	}
	if stream.Send("message", text) == nil {
		stream.Link().Sent(len(text))
	}
}
