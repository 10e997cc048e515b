package pubsub_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pubsub"
)

// newHub returns a hub of strings. Those that begin with "?" are confined; a Missed is "missed N".
// It notes panics of callbacks and goroutines that they ended.
func newHub(t *testing.T) (h *pubsub.Hub[string], notes func() []string) {
	var mu sync.Mutex
	var noted []string
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		noted = append(noted, text)
	}
	h = pubsub.New(pubsub.Config[string]{
		Missed:   func(events int) string { return fmt.Sprint("missed ", events) },
		Confined: func(ev string) bool { return strings.HasPrefix(ev, "?") },
		Panicked: func(ev string, value any) { note(fmt.Sprint(ev, ": ", value)) },
		Exited:   func() { note("exited") },
	})
	t.Cleanup(func() {
		h.Close()
		h.Wait()
	})
	return h, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return noted
	}
}

func all(string) bool { return true }

// waiting returns what is in the queue.
func waiting(events <-chan string) (some []string) {
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return append(some, "closed")
			}
			some = append(some, ev)
		default:
			return some
		}
	}
}

func TestSubscribersGetWhatTheyWantInOrder(t *testing.T) {
	h, _ := newHub(t)
	require.False(t, h.Active())
	h.Emit("before")
	everything, off := h.Subscribe(all, 10)
	require.True(t, h.Active())
	some, _ := h.Subscribe(func(ev string) bool { return ev != "b" }, 10)
	for _, ev := range []string{"a", "b", "c"} {
		h.Emit(ev)
	}
	require.Equal(t, []string{"a", "b", "c"}, waiting(everything))
	require.Equal(t, []string{"a", "c"}, waiting(some))
	h.Emit("d")
	off()
	off()
	h.Emit("e")
	require.Equal(t, []string{"d", "closed"}, waiting(everything), "what had come before the end is delivered")
	require.Equal(t, []string{"d", "e"}, waiting(some))
	require.Zero(t, h.Dropped())
}

func TestFullQueuesDropAndSayHowMany(t *testing.T) {
	h, _ := newHub(t)
	events, _ := h.Subscribe(all, 2)
	silent, _ := h.Subscribe(func(ev string) bool { return !strings.HasPrefix(ev, "missed") }, 2)
	for i := range 5 {
		h.Emit(fmt.Sprint(i))
	}
	require.EqualValues(t, 6, h.Dropped(), "for each queue")
	require.Equal(t, []string{"0", "1"}, waiting(events))
	require.Equal(t, []string{"0", "1"}, waiting(silent))
	for i := range 3 {
		h.Emit(fmt.Sprint("again ", i))
	}
	require.Equal(t, []string{"missed 3", "again 0"}, waiting(events), "a Missed may take the place of an event")
	require.Equal(t, []string{"again 0", "again 1"}, waiting(silent))
	h.Emit("last")
	require.Equal(t, []string{"missed 2", "last"}, waiting(events))
}

// Confined events take a quarter of the queue, rounded up: the rest stays free for others.
func TestConfinedEventsTakeAQuarter(t *testing.T) {
	for room, quarter := range map[int]int{1: 1, 2: 1, 4: 1, 5: 2, 8: 2, 100: 25} {
		h, _ := newHub(t)
		events, _ := h.Subscribe(all, room)
		var want []string
		for i := range 2 * room {
			h.Emit(fmt.Sprint("?", i))
			if i < quarter {
				want = append(want, fmt.Sprint("?", i))
			}
		}
		for i := range room - quarter {
			h.Emit(fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		require.Zero(t, h.Dropped())
		require.EqualValues(t, 2*room-quarter, h.DroppedConfined())
		require.Equal(t, want, waiting(events), "no Missed counts them")
		h.Emit("on")
		require.Equal(t, []string{"on"}, waiting(events))
	}
}

func TestCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHub(t)
		var got []string
		running := 0
		off := h.Observe(func(ev string) bool { return ev != "unwanted" }, 3, func(ev string) {
			running++
			require.Equal(t, 1, running, "one at a time")
			time.Sleep(time.Second)
			got = append(got, ev)
			running--
		})
		h.Emit("a")
		synctest.Wait()
		for _, ev := range []string{"b", "unwanted", "c", "d", "too many", "too many"} {
			h.Emit(ev)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "d", "missed 2"}, got, "the Missed comes without another event")
		h.Emit("e")
		h.Emit("f")
		synctest.Wait()
		off()
		off()
		h.Emit("g")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "d", "missed 2", "e"}, got, "e was under way at off")
	})
}

func TestCallbacksHurtOnlyThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, notes := newHub(t)
		var got []string
		for _, bad := range []func(string){
			func(string) { panic("oops") },
			func(string) { runtime.Goexit() },
			func(string) { time.Sleep(time.Hour) },
		} {
			h.Observe(all, 10, bad)
		}
		h.Observe(all, 10, func(ev string) { got = append(got, ev) })
		start := time.Now()
		h.Emit("a")
		h.Emit("b")
		synctest.Wait()
		require.Zero(t, time.Since(start))
		require.Equal(t, []string{"a", "b"}, got)
		noted := notes()
		slices.Sort(noted)
		require.Equal(t, []string{"a: oops", "b: oops", "exited", "exited"}, noted, "each of them got both")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHub(t)
		events, off := h.Subscribe(all, 10)
		var got []string
		h.Observe(all, 10, func(ev string) { time.Sleep(time.Second); got = append(got, ev) })
		h.Emit("a")
		h.Emit("b")
		h.Close()
		h.Close()
		require.False(t, h.Active())
		h.Emit("late")
		off()
		h.Wait()
		require.Equal(t, []string{"a", "b"}, got)
		require.Equal(t, []string{"a", "b", "closed"}, waiting(events))
		events, off = h.Subscribe(all, 10)
		require.Equal(t, []string{"closed"}, waiting(events))
		off()
		h.Observe(all, 10, func(string) { t.Error("called") })()
		require.False(t, h.Active())
	})
}

// Subscribers come and go while events are emitted: nothing is sent to a closed queue, and each
// gets a part of the events without a gap that isn't counted.
func TestConcurrentUse(t *testing.T) {
	h, _ := newHub(t)
	var emitted atomic.Bool
	var emitters, subscribers sync.WaitGroup
	for range 4 {
		subscribers.Go(func() {
			for !emitted.Load() {
				events, off := h.Subscribe(all, 4)
				seen := 0
				for ev := range events {
					if n := 1; strings.HasPrefix(ev, "missed") {
						_, err := fmt.Sscanf(ev, "missed %d", &n)
						require.NoError(t, err)
						require.Positive(t, n)
					}
					if seen++; seen == 20 || emitted.Load() {
						off()
					}
				}
			}
		})
		emitters.Go(func() {
			for i := range 5000 {
				h.Emit(fmt.Sprint(i))
			}
		})
	}
	emitters.Wait()
	emitted.Store(true)
	h.Close()
	subscribers.Wait()
}

func BenchmarkEmit(b *testing.B) {
	h := pubsub.New(pubsub.Config[any]{
		Missed:   func(events int) any { return events },
		Confined: func(ev any) bool { _, confined := ev.(string); return confined },
	})
	events, off := h.Subscribe(func(any) bool { return true }, 1)
	defer off()
	var ev any = struct{ a, b string }{}
	b.ReportAllocs()
	for b.Loop() {
		h.Emit(ev)
		<-events
	}
}
