package membership

import (
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// notifier reports changes, one at a time.
type notifier struct {
	mu       sync.Mutex
	stopped  bool
	onChange func(store.Change)
}

func (n *notifier) report(c store.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.onChange(c)
	}
}

// stop returns when no change is being reported. No change is reported afterwards.
func (n *notifier) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
}
