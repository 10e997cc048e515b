package kept

import (
	"container/list"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// lastFor is how long a log exists after the last call for it.
const lastFor = 7 * 24 * time.Hour

// overhead is what a log, and a message, take in memory besides the data of messages.
const overhead = 256

// Memory keeps messages in this process, as a store.Keeper does for several. It doesn't know which
// sessions exist: End drops what is kept for one. When all logs together take more than its limit,
// it drops those that have not been used for longest. It is safe for concurrent use.
type Memory struct {
	limit int
	after func(d time.Duration, task func())

	mu      sync.Mutex
	logs    map[store.KeptFor]*memoryLog
	order   *list.List // of *memoryLog: the one that has not been used for longest is the first
	size    int
	tidying bool // planned
}

// memoryLog is a log in memory.
type memoryLog struct {
	of          store.KeptFor
	place       *list.Element // in Memory.order
	used        time.Time
	first, last uint64
	messages    []memoryMessage
	bytes       int // of the data of the messages
}

type memoryMessage struct {
	store.KeptMessage
	until time.Time
}

var _ store.Keeper = (*Memory)(nil)

// NewMemory returns a Memory of at most limit bytes. after runs a task after that time; it is used
// while there are logs.
func NewMemory(limit int, after func(d time.Duration, task func())) *Memory {
	return &Memory{limit: limit, after: after, logs: make(map[store.KeptFor]*memoryLog), order: list.New()}
}

// Keep implements store.Keeper. It returns no error.
func (m *Memory) Keep(_ context.Context, to store.KeptFor, message store.KeptMessage, limits store.KeepLimits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	l := m.use(to, now)
	message.Prev, message.Number = l.last, max(micros(now), l.last+1)
	message.Data = slices.Clone(message.Data)
	l.last = message.Number
	l.messages = append(l.messages, memoryMessage{message, now.Add(limits.For)})
	m.grow(l, len(message.Data), 1)
	n := 0
	for bytes := l.bytes; n < len(l.messages)-1; n++ {
		oldest := &l.messages[n]
		if len(l.messages)-n <= limits.Messages && bytes <= limits.Bytes && now.Before(oldest.until) {
			break
		}
		bytes -= len(oldest.Data)
	}
	m.drop(l, n)
	for m.size > m.limit && m.order.Len() > 1 {
		m.forget(m.order.Front().Value.(*memoryLog)) //nolint:forcetypeassert // it has nothing else
	}
	return nil
}

// Kept implements store.Keeper. It returns no error.
func (m *Memory) Kept(_ context.Context, to store.KeptFor, after uint64) (store.Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	l := m.use(to, now)
	if l.last == 0 {
		l.first, l.last = micros(now), micros(now)
	}
	kept := store.Kept{First: l.first, Last: l.last}
	for i := range l.messages {
		if each := &l.messages[i]; each.Number > after && now.Before(each.until) {
			message := each.KeptMessage
			message.Data = slices.Clone(message.Data)
			kept.Messages = append(kept.Messages, message)
		}
	}
	return kept, nil
}

// End drops what is kept for a session.
func (m *Memory) End(sessionID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.logs[store.KeptFor{SessionID: sessionID}]; l != nil {
		m.forget(l)
	}
}

// tidyAll drops the messages whose time is over, and logs that have not been used for a week. It
// blocks other calls for a short time only.
func (m *Memory) tidyAll() {
	for some := range slices.Chunk(m.all(), tidyAtOnce) {
		m.tidy(some)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tidying = false
	if len(m.logs) > 0 {
		m.planTidying()
	}
}

// planTidying has the logs tidied soon. The lock is held.
func (m *Memory) planTidying() {
	if !m.tidying {
		m.tidying = true
		m.after(tidyEvery, m.tidyAll)
	}
}

// tidyEvery is how long a message may stay in memory beyond its time.
const tidyEvery = time.Minute

// tidyAtOnce is how many logs are tidied under the lock.
const tidyAtOnce = 256

func (m *Memory) all() []store.KeptFor {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.logs))
}

func (m *Memory) tidy(some []store.KeptFor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, of := range some {
		l := m.logs[of]
		if l == nil {
			continue
		}
		l.expire(m, now)
		if now.Sub(l.used) >= lastFor {
			m.forget(l)
		}
	}
}

// Size returns the approximate number of bytes that are in use.
func (m *Memory) Size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size
}

// use returns the log, which it makes if necessary. The lock is held.
func (m *Memory) use(to store.KeptFor, now time.Time) *memoryLog {
	l := m.logs[to]
	if l == nil {
		l = &memoryLog{of: to}
		l.place = m.order.PushBack(l)
		m.logs[to] = l
		m.size += overhead
		m.planTidying()
	}
	m.order.MoveToBack(l.place)
	l.used = now
	return l
}

// grow counts messages that were added to the log, or removed. The lock is held.
func (m *Memory) grow(l *memoryLog, bytes, messages int) {
	l.bytes += bytes
	m.size += bytes + messages*overhead
}

// drop removes the first n messages of the log. The lock is held.
func (m *Memory) drop(l *memoryLog, n int) {
	for i := range n {
		m.grow(l, -len(l.messages[i].Data), -1)
	}
	l.messages = slices.Delete(l.messages, 0, n)
}

// expire removes messages whose time is over. The lock is held.
func (l *memoryLog) expire(m *Memory, now time.Time) {
	l.messages = slices.DeleteFunc(l.messages, func(each memoryMessage) bool {
		over := !now.Before(each.until)
		if over {
			m.grow(l, -len(each.Data), -1)
		}
		return over
	})
	l.messages = slices.Clip(l.messages)
}

// forget removes the log. The lock is held.
func (m *Memory) forget(l *memoryLog) {
	m.size -= l.bytes + (len(l.messages)+1)*overhead
	m.order.Remove(l.place)
	delete(m.logs, l.of)
}

func micros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 1)) } //nolint:gosec // positive
