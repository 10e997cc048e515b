package soak_test

import (
	"time"
)

// disturb causes one fault after another, each for a while, until done is closed. The server is killed,
// and each connection cut, at least once.
func (h *farmHistory) disturb(done <-chan struct{}) {
	faults := []func(){h.kill, h.cutAll, h.cutOne, h.cutOne, h.stall, h.refuse, h.delay, h.silence}
	for first := true; ; first = false {
		h.random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, fault := range faults {
			select {
			case <-done:
				if !first {
					return
				}
			case <-time.After(time.Duration(h.random.IntN(25)) * time.Millisecond):
			}
			fault()
		}
	}
}

func (h *farmHistory) while(most time.Duration) {
	<-time.After(time.Duration(h.random.Int64N(int64(most))))
}

func (h *farmHistory) kill() {
	h.tally.kills++
	h.server.Kill()
	h.while(60 * time.Millisecond)
	h.server.Restart()
}

func (h *farmHistory) cutOne() { h.tally.cuts += h.anyNode(h.random).proxy.Cut() }

func (h *farmHistory) cutAll() {
	for _, n := range h.nodes {
		h.tally.cuts += n.proxy.Cut()
	}
}

// stall may end with a cut or a kill, which lose the commands under way, or without loss. One in
// six lasts longer than the node waits: commands with an unknown outcome are then executed
// afterwards.
func (h *farmHistory) stall() {
	h.tally.stalls++
	p := h.anyNode(h.random).proxy
	p.Stall()
	if h.random.IntN(6) == 0 {
		h.tally.late++
		<-time.After(farmTimeout)
	}
	h.while(60 * time.Millisecond)
	switch h.random.IntN(3) {
	case 0:
		h.tally.cuts += p.Cut()
	case 1:
		h.kill()
	}
	p.Resume()
}

func (h *farmHistory) refuse() {
	h.tally.refusals++
	p := h.anyNode(h.random).proxy
	p.Refuse()
	h.tally.cuts += p.Cut()
	h.while(60 * time.Millisecond)
	p.Allow()
}

func (h *farmHistory) delay() {
	h.tally.delays++
	p := h.anyNode(h.random).proxy
	p.Delay(time.Duration(h.random.IntN(20)) * time.Millisecond)
	h.while(60 * time.Millisecond)
	p.Delay(0)
}

func (h *farmHistory) silence() {
	h.tally.silences++
	p := h.anyNode(h.random).proxy
	p.DropPushes()
	h.while(60 * time.Millisecond)
	p.PassPushes()
}
