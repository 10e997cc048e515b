package main

import (
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// feed hands the Bridge's events to the sockets of the session that they are about, and to no others. It also knows which sockets
// each session has.
type feed struct {
	mu       sync.Mutex
	sockets  map[string][]socketInfo // by session
	watchers map[string][]*watcher   // by session
}

// socketInfo is an open socket, as the page lists it.
type socketInfo struct {
	ID     string    `json:"id"`
	Opened time.Time `json:"opened"`
}

// watcher is a socket that wants to know.
type watcher struct {
	sessionID string
	events    chan bridge.Event // closed when the socket is too slow
}

// watcherQueue is how many events a socket may be behind.
const watcherQueue = 64

func newFeed() *feed {
	return &feed{sockets: make(map[string][]socketInfo), watchers: make(map[string][]*watcher)}
}

// run hands on events until there are no more. It waits for no socket.
func (f *feed) run(events <-chan bridge.Event) {
	for ev := range events {
		f.handle(ev)
	}
}

func (f *feed) handle(ev bridge.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch ev := ev.(type) {
	case bridge.ConnOpen:
		if ev.SessionID == "" {
			return
		}
		f.sockets[ev.SessionID] = append(f.sockets[ev.SessionID], socketInfo{ev.ConnID, time.Now().UTC()})
		f.tell(ev.SessionID, ev)
	case bridge.ConnClose:
		remove(f.sockets, ev.SessionID, func(s socketInfo) bool { return s.ID == ev.ConnID })
		f.tell(ev.SessionID, ev)
	case bridge.SessionSet:
		f.tell(ev.SessionID, ev)
	}
	// A SessionDestroy comes as the close code: the session's sockets are being closed already.
}

// tell needs the lock.
func (f *feed) tell(sessionID string, ev bridge.Event) {
	for _, w := range slices.Clone(f.watchers[sessionID]) {
		select {
		case w.events <- ev:
		default:
			close(w.events)
			f.forget(w)
		}
	}
}

// watch begins to tell a socket what happens to its session.
func (f *feed) watch(sessionID string) *watcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &watcher{sessionID: sessionID, events: make(chan bridge.Event, watcherQueue)}
	f.watchers[sessionID] = append(f.watchers[sessionID], w)
	return w
}

// list returns the session's open sockets, the oldest first. One that has just opened may be missing: its event comes.
func (f *feed) list(sessionID string) []socketInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sockets[sessionID])
}

// unwatch forgets the watcher.
func (f *feed) unwatch(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(w)
}

func (f *feed) forget(w *watcher) {
	remove(f.watchers, w.sessionID, func(other *watcher) bool { return other == w })
}

// remove takes an element out of one of the lists, and empty lists out of the map.
func remove[T any](lists map[string][]T, key string, is func(T) bool) {
	lists[key] = slices.DeleteFunc(lists[key], is)
	if len(lists[key]) == 0 {
		delete(lists, key)
	}
}
