package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// office is a Sender with what it needs.
type office struct {
	*outbox.Sender
	panics chan any
}

func newOffice(t *testing.T) *office {
	c := clock.New()
	t.Cleanup(c.Close)
	o := &office{panics: make(chan any, 16)}
	o.Sender = outbox.NewSender(c, workers.New(func(value any) { o.panics <- value }))
	return o
}

// offer offers a message and wakes the Sender.
func (o *office) offer(q *outbox.Queue, text string) outbox.Outcome {
	var wake outbox.Batch
	defer o.Wake(&wake)
	return q.Offer(&outbox.Message{Data: []byte(text)}, &wake)
}

// client receives the messages of one queue.
type client struct {
	mu    sync.Mutex
	heard []string
	gate  chan struct{} // nil: never blocks; otherwise each message waits for one receive
	queue outbox.Queue
}

func newClient(limit int, overflow outbox.Overflow, gate chan struct{}) *client {
	c := &client{gate: gate}
	c.queue.Open(limit, overflow, func(m *outbox.Message) error {
		if c.gate != nil {
			<-c.gate
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heard = append(c.heard, string(m.Data))
		return nil
	})
	return c
}

func (c *client) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.heard...)
}

func TestQueueRefusesMessagesUntilItIsOpenAndOnceItIsClosed(t *testing.T) {
	o := newOffice(t)
	var q outbox.Queue
	require.Equal(t, outbox.Refused, o.offer(&q, "early"))
	c := newClient(1, outbox.CloseQueue, nil)
	c.queue.Close()
	require.Equal(t, outbox.Refused, o.offer(&c.queue, "late"))
	require.Nil(t, c.queue.Drained())
	require.Zero(t, o.Workers())
}

func TestMessagesOfAQueueAreSentOneAtATimeInTheirOrder(t *testing.T) {
	const queues, each = 20, 200
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		var clients []*client
		var busy [queues]atomic.Bool
		for i := range queues {
			c := &client{}
			c.queue.Open(each, outbox.CloseQueue, func(m *outbox.Message) error {
				if busy[i].Swap(true) {
					t.Error("two messages at once")
				}
				defer busy[i].Store(false)
				if m.Data[0]%7 == 0 {
					time.Sleep(time.Millisecond)
				}
				c.heard = append(c.heard, string(m.Data))
				return nil
			})
			clients = append(clients, c)
		}
		var want []string
		for i := range each {
			want = append(want, string(rune(i)))
			for _, c := range clients {
				require.Equal(t, outbox.Queued, o.offer(&c.queue, string(rune(i))))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, c := range clients {
			require.Equal(t, want, c.heard)
		}
		require.Zero(t, o.Workers(), "no worker stays while nothing waits")
	})
}

func TestOneBatchWakesManyQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		var wake outbox.Batch
		m := &outbox.Message{Data: []byte("hello"), Binary: true}
		var clients []*client
		for range 100 {
			c := newClient(1, outbox.CloseQueue, nil)
			require.Equal(t, outbox.Queued, c.queue.Offer(m, &wake))
			clients = append(clients, c)
		}
		synctest.Wait()
		require.Empty(t, clients[0].all(), "before Wake")
		o.Wake(&wake)
		require.LessOrEqual(t, o.Workers(), runtime.GOMAXPROCS(0))
		synctest.Wait()
		for _, c := range clients {
			require.Equal(t, []string{"hello"}, c.all())
		}
	})
}

func TestOverflow(t *testing.T) {
	for _, test := range []struct {
		overflow outbox.Overflow
		outcomes []outbox.Outcome
		heard    []string
	}{
		{outbox.CloseQueue, []outbox.Outcome{outbox.Overflowed, outbox.Refused}, []string{"0"}},
		{outbox.DropOldest, []outbox.Outcome{outbox.ReplacedOldest, outbox.ReplacedOldest}, []string{"0", "3", "4", "5"}},
		{outbox.DropNewest, []outbox.Outcome{outbox.Dropped, outbox.Dropped}, []string{"0", "1", "2", "3"}},
	} {
		t.Run(fmt.Sprint(test.overflow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				c := newClient(3, test.overflow, make(chan struct{}))
				require.Equal(t, outbox.Queued, o.offer(&c.queue, "0"))
				synctest.Wait() // a worker has it: it counts no more
				for i := 1; i <= 3; i++ {
					require.Equal(t, outbox.Queued, o.offer(&c.queue, fmt.Sprint(i)))
				}
				for i, want := range test.outcomes {
					require.Equal(t, want, o.offer(&c.queue, fmt.Sprint(4+i)))
				}
				close(c.gate)
				synctest.Wait()
				require.Equal(t, test.heard, c.all())
			})
		})
	}
}

// A queue holds its limit of messages whatever their size, and shares their bytes with the others.
func TestLimitCountsMessagesAndNotTheirBytes(t *testing.T) {
	m := &outbox.Message{Data: make([]byte, 1<<20)}
	var wake outbox.Batch
	var clients []*client
	for range 8 {
		clients = append(clients, newClient(1000, outbox.DropNewest, nil))
	}
	allocated := testing.AllocsPerRun(1, func() {
		for _, c := range clients {
			require.Equal(t, outbox.Queued, c.queue.Offer(m, &wake))
		}
	})
	require.Less(t, allocated, float64(3*len(clients)), "none of the payload")
	for i := 2; i < 1000; i++ {
		require.Equal(t, outbox.Queued, clients[0].queue.Offer(m, &wake))
	}
	require.Equal(t, outbox.Dropped, clients[0].queue.Offer(m, &wake))
}

func TestFirstMessageOfAnEmptyQueueCostsNoAllocation(t *testing.T) {
	c := newClient(1, outbox.DropOldest, nil)
	m := &outbox.Message{}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var wake outbox.Batch
		c.queue.Offer(m, &wake)
	}))
}

func TestWritersThatBlockDelayOnlyTheirOwnQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stuck, fast = 1000, 100
		o := newOffice(t)
		gone := make(chan struct{})
		var all []*client
		for range stuck {
			all = append(all, newClient(1, outbox.CloseQueue, gone))
		}
		for range fast {
			all = append(all, newClient(1, outbox.CloseQueue, nil))
		}
		var wake outbox.Batch
		for _, c := range all {
			c.queue.Offer(&outbox.Message{Data: []byte("hello")}, &wake)
		}
		o.Wake(&wake)
		time.Sleep(100 * time.Millisecond)
		for _, c := range all[stuck:] {
			require.Equal(t, []string{"hello"}, c.all())
		}
		close(gone)
		synctest.Wait()
		require.Equal(t, []string{"hello"}, all[0].all())
		require.Zero(t, o.Workers())
	})
}

func TestFailureOfTheWriteFunctionClosesItsQueueOnly(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error":      func() error { return errors.New("gone") },
		"a panic":       func() error { panic("gone") },
		"a Goexit":      func() error { runtime.Goexit(); return nil },
		"a nil pointer": func() error { var c *client; c.heard = nil; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				calls := 0
				var bad outbox.Queue
				bad.Open(10, outbox.CloseQueue, func(*outbox.Message) error {
					calls++
					time.Sleep(time.Millisecond) // the next ones are queued meanwhile
					return fail()
				})
				good := newClient(10, outbox.CloseQueue, nil)
				for range 3 {
					require.Equal(t, outbox.Queued, o.offer(&bad, "x"))
					require.Equal(t, outbox.Queued, o.offer(&good.queue, "x"))
				}
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, 1, calls)
				require.Equal(t, outbox.Refused, o.offer(&bad, "x"))
				require.Equal(t, []string{"x", "x", "x"}, good.all())
				require.Zero(t, o.Workers())
				if name == "a panic" {
					require.Equal(t, "gone", <-o.panics)
				}
			})
		})
	}
}

// The worker that a write function has ended is replaced while other queues wait.
func TestGoexitLeavesNoQueueWithoutAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		var wake outbox.Batch
		m := &outbox.Message{Data: []byte("x")}
		for range 4 * runtime.GOMAXPROCS(0) {
			var bad outbox.Queue
			bad.Open(1, outbox.CloseQueue, func(*outbox.Message) error { runtime.Goexit(); return nil })
			bad.Offer(m, &wake)
		}
		good := newClient(1, outbox.CloseQueue, nil)
		good.queue.Offer(m, &wake)
		o.Wake(&wake)
		synctest.Wait()
		require.Equal(t, []string{"x"}, good.all())
	})
}

func TestDrainedEndsWithTheMessageThatIsBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		c := newClient(10, outbox.CloseQueue, make(chan struct{}))
		o.offer(&c.queue, "sending")
		synctest.Wait()
		o.offer(&c.queue, "waiting")
		c.queue.Close()
		drained := c.queue.Drained()
		require.NotNil(t, drained)
		synctest.Wait()
		select {
		case <-drained:
			t.Fatal("the write has not returned yet")
		default:
		}
		c.gate <- struct{}{}
		<-drained
		require.Equal(t, []string{"sending"}, c.all())
	})
}

func TestFlushSendsWhatWaitsThenTheFinalMessageAndNothingAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		c := newClient(2, outbox.CloseQueue, make(chan struct{}))
		for _, text := range []string{"0", "1", "2"} { // as many as it takes
			require.Equal(t, outbox.Queued, o.offer(&c.queue, text))
			synctest.Wait()
		}
		flushed := make(chan struct{})
		go func() {
			defer close(flushed)
			o.Flush(t.Context(), &c.queue, o.Compose(func() *outbox.Message {
				time.Sleep(10 * time.Millisecond)
				return &outbox.Message{Data: []byte("final")}
			}))
		}()
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, outbox.Refused, o.offer(&c.queue, "late"))
		close(c.gate)
		<-flushed
		require.Equal(t, []string{"0", "1", "2", "final"}, c.all())
	})
}

func TestFlushOfAnIdleQueueSendsTheFinalMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		c := newClient(1, outbox.CloseQueue, nil)
		o.Flush(t.Context(), &c.queue, o.Compose(func() *outbox.Message { return &outbox.Message{Data: []byte("final")} }))
		require.Equal(t, []string{"final"}, c.all())
		var unopened outbox.Queue
		o.Flush(t.Context(), &unopened, o.Compose(func() *outbox.Message { return &outbox.Message{} }))
		o.Flush(t.Context(), &c.queue, nil)
		require.Equal(t, []string{"final"}, c.all())
	})
}

func TestFlushWaitsNoLongerThanItsContext(t *testing.T) {
	for name, compose := range map[string]func() *outbox.Message{
		"a message that is composed for too long": func() *outbox.Message { time.Sleep(time.Minute); return &outbox.Message{} },
		"a writer that blocks":                    func() *outbox.Message { return &outbox.Message{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				c := newClient(1, outbox.CloseQueue, make(chan struct{}))
				o.offer(&c.queue, "0")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				o.Flush(ctx, &c.queue, o.Compose(compose))
				require.Equal(t, time.Second, time.Since(began))
				close(c.gate)
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

func TestFinalMessageThatIsNeverComposedIsNone(t *testing.T) {
	for name, compose := range map[string]func() *outbox.Message{
		"nil":      func() *outbox.Message { return nil },
		"a panic":  func() *outbox.Message { panic("no message") },
		"a Goexit": func() *outbox.Message { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				c := newClient(1, outbox.CloseQueue, nil)
				began := time.Now()
				o.Flush(t.Context(), &c.queue, o.Compose(compose))
				require.Zero(t, time.Since(began))
				require.Empty(t, c.all())
			})
		})
	}
}

// A queue may be opened again while a worker sends: the messages that it takes next go to the new
// function.
func TestQueueIsOpenedAgainWhileAWorkerSends(t *testing.T) {
	c := clock.New()
	defer c.Close()
	tasks := workers.New(func(value any) { t.Errorf("panicked: %v", value) })
	s := outbox.NewSender(c, tasks)
	var q outbox.Queue
	const messages = 1000
	var sent atomic.Int64
	count := func(*outbox.Message) error { sent.Add(1); return nil }
	q.Open(messages, outbox.CloseQueue, count)
	for range messages {
		var wake outbox.Batch
		require.Equal(t, outbox.Queued, q.Offer(&outbox.Message{}, &wake))
		s.Wake(&wake)
		q.Open(messages, outbox.CloseQueue, count)
	}
	require.NoError(t, tasks.Wait(t.Context()))
	require.EqualValues(t, messages, sent.Load())
}

// Messages of Insist don't count towards the limit, are never dropped for others, and keep their order.
func TestInsistedMessagesAreNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for overflow, want := range map[outbox.Overflow][]string{
			outbox.DropOldest: {"first", "i1", "i2", "i3", "b", "i4"},
			outbox.DropNewest: {"first", "i1", "a", "i2", "i3", "i4"},
		} {
			o, gate := newOffice(t), make(chan struct{})
			c := newClient(1, overflow, gate)
			insist := func(text string) {
				var wake outbox.Batch
				defer o.Wake(&wake)
				require.Equal(t, outbox.Queued, c.queue.Insist(&outbox.Message{Data: []byte(text), Note: 1}, &wake))
			}
			o.offer(&c.queue, "first")
			synctest.Wait() // it is being sent
			insist("i1")
			require.Equal(t, outbox.Queued, o.offer(&c.queue, "a"))
			insist("i2")
			insist("i3")
			require.NotEqual(t, outbox.Queued, o.offer(&c.queue, "b"))
			insist("i4")
			for range want {
				gate <- struct{}{}
			}
			synctest.Wait()
			require.Equal(t, want, c.all())
			require.Equal(t, outbox.Queued, o.offer(&c.queue, "last"), "none is counted any more")
			gate <- struct{}{}
			synctest.Wait()
			c.queue.Close()
			require.Equal(t, outbox.Refused, c.queue.Insist(&outbox.Message{Note: 1}, &outbox.Batch{}))
		}
	})
}
