package filestore

import "time"

// progressInterval is the shortest time between two calls of a progress function.
const progressInterval = 100 * time.Millisecond

// progress reports the progress of an operation at intervals.
type progress struct {
	report func(Progress) // nil: the progress isn't reported
	now    Progress
	last   time.Time
}

func newProgress(report func(Progress), doing string, total int64) *progress {
	return &progress{report, Progress{Doing: doing, Total: total}, time.Now()}
}

func (p *progress) add(n int64) {
	p.now.Done += n
	if now := time.Now(); p.report != nil && now.Sub(p.last) >= progressInterval {
		p.last = now
		p.report(p.now)
	}
}

// complete reports the end of the operation.
func (p *progress) complete() {
	if p.now.Done = p.now.Total; p.report != nil {
		p.report(p.now)
	}
}
