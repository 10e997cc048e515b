package filestore

import "time"

// progress tells the caller's function how far something has come, now and then.
type progress struct {
	tell func(Progress)
	now  Progress
	last time.Time
}

func (e *engine) progress(doing string, total int64) *progress {
	return newProgress(e.opts.Progress, doing, total)
}

func newProgress(tell func(Progress), doing string, total int64) *progress {
	return &progress{tell, Progress{Doing: doing, Total: total}, time.Now()}
}

func (p *progress) add(n int64) { p.at(p.now.Done + n) }

func (p *progress) at(n int64) {
	p.now.Done = n
	if now := time.Now(); now.Sub(p.last) >= 100*time.Millisecond {
		p.last = now
		p.tell(p.now)
	}
}
