package main

import (
	"runtime/metrics"
	"time"
)

// heap measures what the store holds in memory when it has been used and nobody uses it any more.
func (m *million) heap() (sample, error) {
	o := m.engine()
	opts := o.opts
	defer func() { o.opts = opts }()
	o.opts.CheckpointEvery = time.Second
	if m.quick {
		o.opts.CheckpointEvery = 100 * time.Millisecond
	}
	var open int64
	err := m.opened(func(o *oursOnDisk) error {
		if err := m.overwrite(m.sessions() / 10); err != nil {
			return err
		}
		open = calm(o.opts.CheckpointEvery)
		return nil
	})
	o.store = nil
	return sample{bytesIdle: float64(open - heapInUse()), bytesPeak: float64(o.peak)}, err
}

// calm waits until the heap has not become smaller for a while, in which a checkpoint on a slow disk ends, and
// returns its size.
func calm(between time.Duration) int64 {
	const looks = 10
	last := heapInUse()
	for same := 0; same < looks; same++ {
		time.Sleep(2 * between)
		if now := heapInUse(); now < last-last/100 {
			last, same = now, 0
		}
	}
	return last
}

// watchHeap begins to look at the heap; the function that it returns ends that, and says by how
// much it has grown at most.
func watchHeap() (stop func() int64) {
	before := heapInUse()
	quit, highest := make(chan struct{}), make(chan int64)
	go func() {
		read := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var peak int64
		for {
			metrics.Read(read)
			peak = max(peak, int64(read[0].Value.Uint64())) //nolint:gosec // no machine has that much
			select {
			case <-tick.C:
			case <-quit:
				highest <- peak
				return
			}
		}
	}()
	return func() int64 {
		close(quit)
		return <-highest - before
	}
}
