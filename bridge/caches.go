package bridge

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
)

func forCaches(h http.Header) bool                  { return cachecontrol.Shared(h) }
func keepFromCaches(h http.Header) (overruled bool) { return cachecontrol.Restrict(h) }
func varyCookie(h http.Header)                      { cachecontrol.VaryOn(h, "Cookie") }
func varyOn(h http.Header, headers ...string)       { cachecontrol.VaryOn(h, headers...) }

// tellOverruled logs, once in the Bridge's life, that a handler's Cache-Control had to give way to
// a cookie.
func (b *Bridge) tellOverruled(ctx context.Context) {
	if !b.overrule.Swap(true) {
		b.opts.Logger.LogAttrs(ctx, slog.LevelWarn,
			"a response that its handler lets caches store had to set the session cookie or another credential: it is sent with Cache-Control: private, no-store; "+
				"don't change the session in such a handler (logged once)")
	}
}
