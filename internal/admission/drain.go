package admission

import (
	"context"
	"time"
)

// minStep is the shortest time between two batches.
const minStep = 50 * time.Millisecond

// Drain calls end for all of the connections in batches of nearly the same size, spread evenly over
// the time. When ctx has ended, or is to end within the reserve, the rest is one batch.
func Drain[L any](ctx context.Context, conns []L, over, reserve time.Duration, end func(batch []L)) {
	if deadline, ok := ctx.Deadline(); ok {
		over = min(over, time.Until(deadline)-reserve)
	}
	steps := int(max(1, min(over/minStep, time.Duration(len(conns)))))
	tick := time.NewTimer(0)
	defer tick.Stop()
	start := time.Now()
	for step := 0; len(conns) > 0; step++ {
		tick.Reset(time.Until(start.Add(time.Duration(step) * over / time.Duration(steps))))
		select {
		case <-tick.C:
		case <-ctx.Done():
			step = steps - 1
		}
		batch := conns[:len(conns)/(steps-step)]
		conns = conns[len(batch):]
		end(batch)
	}
}
