package bridge

import (
	"context"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// loginGate knows the logins and the new sessions that are on their way to the store, so that DestroyUser and DestroyAll miss none. It stands still
// for nobody: whoever enters goes on at once.
//
// An ending takes effect, as far as others can tell, at the moment at which it begins. What is under way then comes before it, and the ending
// waits for that and takes it, too. What enters later comes after it and survives, unless it changes a session that the ending is about to take:
// that one ends on the spot, instead of being changed.
type loginGate struct {
	mu      sync.Mutex
	entered uint64 // counts those that came, logins and endings
	passing map[*passing]struct{}
	endings []*ending
}

// passing is a change between gate and store.
type passing struct {
	gateway.Entrance
	gate  *loginGate
	turn  uint64
	helps *ending       // which the session belongs to: it is being ended instead
	done  chan struct{} // closed when the store has answered; nil: nobody waits for that
}

// ending is a DestroyUser or a DestroyAll that is under way.
type ending struct {
	user   string // "" for all
	except map[string]bool
	turn   uint64
	from   *origin

	// Guarded by the gate's lock.
	after  map[string]bool // sessions that survive
	helped int             // sessions that others have ended for it
}

func newLoginGate() *loginGate { return &loginGate{passing: make(map[*passing]struct{})} }

// Enter implements gateway.Gate.
func (g *loginGate) Enter(e gateway.Entrance) (gateway.Pass, any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entered++
	p := &passing{Entrance: e, gate: g, turn: g.entered}
	g.passing[p] = struct{}{}
	for _, en := range g.endings {
		if !e.IsNew && en.takes(e.ID, e.Was) {
			p.helps = en
			return p, en.from
		}
	}
	return p, nil
}

// Leave implements gateway.Pass.
func (p *passing) Leave(done bool) {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.passing, p)
	if p.done != nil {
		close(p.done)
	}
	switch {
	case !done:
	case p.helps != nil:
		p.helps.helped++
	default:
		for _, en := range g.endings {
			if en.turn < p.turn && en.concerns(p) {
				en.after[p.ID] = true
			}
		}
	}
}

// concerns reports whether the change adds a session to those that the ending is about.
func (en *ending) concerns(p *passing) bool {
	if en.user == "" {
		return p.IsNew
	}
	return p.User == en.user
}

// takes reports whether the ending is for a session that is the user's. The gate's lock is held.
func (en *ending) takes(id, user string) bool {
	return (en.user == "" || en.user == user) && !en.except[id] && !en.after[id]
}

// begin lets an ending take effect, and returns what it has to wait for.
func (g *loginGate) begin(user string, except []string) (en *ending, before []*passing) {
	en = &ending{user: user, except: make(map[string]bool), after: make(map[string]bool), from: &origin{via: ViaAPI, reason: ReasonDestroyed}}
	for _, id := range except {
		en.except[id] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entered++
	en.turn = g.entered
	g.endings = append(g.endings, en)
	return en, g.those(func(p *passing) bool { return p.helps == nil && en.concerns(p) })
}

// finish says that the ending has taken all that it could, and returns the helpers to wait for.
func (g *loginGate) finish(en *ending) (helpers []*passing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.endings {
		if g.endings[i] == en {
			g.endings = append(g.endings[:i:i], g.endings[i+1:]...)
			break
		}
	}
	return g.those(func(p *passing) bool { return p.helps == en })
}

// those returns some of the changes that are under way, which can be waited for. The lock is held.
func (g *loginGate) those(are func(*passing) bool) (some []*passing) {
	for p := range g.passing {
		if are(p) {
			if p.done == nil {
				p.done = make(chan struct{})
			}
			some = append(some, p)
		}
	}
	return some
}

// waitFor returns when the store has answered them all, or ctx ends.
func waitFor(ctx context.Context, all []*passing) error {
	for _, p := range all {
		select {
		case <-p.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (g *loginGate) takes(en *ending, id, user string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return en.takes(id, user)
}

func (g *loginGate) helped(en *ending) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return en.helped
}
