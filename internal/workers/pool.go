package workers

import "sync"

// Pool runs tasks of one kind in goroutines of its Group, a limited number at once. It is safe for
// concurrent use.
type Pool struct {
	group *Group
	limit int

	mu      sync.Mutex
	running int
	queue   []func() // waits for a goroutine
}

// Pool returns a new Pool of at most limit goroutines.
func (g *Group) Pool(limit int) *Pool { return &Pool{group: g, limit: limit} }

// Go runs task soon, also after Stop. It doesn't wait. A panic is recovered and reported.
func (p *Pool) Go(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == p.limit {
		p.queue = append(p.queue, task)
		return
	}
	p.running++
	p.group.Go(func() { p.run(task) })
}

// run runs task, and those that wait.
func (p *Pool) run(task func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if task = p.next(); task != nil { // the last one has ended its goroutine, with runtime.Goexit
			p.group.Go(func() { p.run(task) })
		}
	}()
	for task != nil {
		p.group.Protect(task)
		task = p.next()
	}
	returned = true
}

// next returns the next task that waits; nil, and the caller has to end, if there is none.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue = nil
		p.running--
		return nil
	}
	task := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return task
}
