// Package status tells a supervisor how the process is: whether it lives, whether it can work, and
// what it has counted.
package status

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// patience is how long the store may take to answer.
const patience = 2 * time.Second

// Probes answers GET /livez, which says that the process serves, and GET /readyz, which says that
// its store answers and that it isn't about to stop. Neither needs a key, and neither says more.
type Probes struct {
	bridge   *bridge.Bridge
	stopping atomic.Bool
}

// NewProbes returns the probes of a Bridge.
func NewProbes(b *bridge.Bridge) *Probes { return &Probes{bridge: b} }

// Stopping makes /readyz answer with 503 from now on.
func (p *Probes) Stopping() { p.stopping.Store(true) }

// Routes returns the handlers by their paths.
func (p *Probes) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"/livez": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusNoContent) }),
		"/readyz": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			if p.stopping.Load() || p.bridge.Ping(ctx) != nil {
				answer(w, http.StatusServiceUnavailable)
				return
			}
			answer(w, http.StatusNoContent)
		}),
	}
}

func answer(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
