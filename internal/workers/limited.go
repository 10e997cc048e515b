package workers

// Limited runs tasks for one caller, which waits when too many are running: unlike a Pool it has no
// queue. Go and Wait are for one goroutine.
type Limited struct {
	group *Group
	slots chan struct{}
}

// Limited returns a new Limited of at most limit goroutines.
func (g *Group) Limited(limit int) *Limited { return &Limited{g, make(chan struct{}, limit)} }

// Go runs task in a goroutine, also after Stop. It waits while limit tasks are running. A panic is
// recovered and reported.
func (l *Limited) Go(task func()) {
	l.slots <- struct{}{}
	l.group.Go(func() {
		defer func() { <-l.slots }()
		task()
	})
}

// Wait returns when no task is running. Further tasks may follow.
func (l *Limited) Wait() {
	for range cap(l.slots) {
		l.slots <- struct{}{}
	}
	for range cap(l.slots) {
		<-l.slots
	}
}
