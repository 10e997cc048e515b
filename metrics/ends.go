package metrics

import "time"

const (
	maxEnds      = 4096             // sessions in ends
	longestClose = 10 * time.Second // after a session's end: a later close has another reason
)

// ends remembers for a short time when sessions ended whose connections may still be open. The zero
// value is ready to use.
type ends struct {
	at    map[string]time.Time
	order []string // the IDs in at, the first that ended first
}

func (e *ends) note(id string) {
	e.forget()
	if e.at == nil {
		e.at = make(map[string]time.Time)
	}
	if _, known := e.at[id]; known || len(e.at) == maxEnds {
		return
	}
	e.at[id] = time.Now()
	e.order = append(e.order, id)
}

// since returns how long ago the session ended, if it was lately.
func (e *ends) since(id string) (time.Duration, bool) {
	e.forget()
	at, ok := e.at[id]
	return time.Since(at), ok
}

// forget removes those that ended too long ago.
func (e *ends) forget() {
	for len(e.order) > 0 && time.Since(e.at[e.order[0]]) > longestClose {
		delete(e.at, e.order[0])
		e.order = e.order[1:]
	}
}
