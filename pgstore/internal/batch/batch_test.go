package batch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// recorder executes operations that take a second each, alone or together, and records them.
type recorder struct {
	mu      sync.Mutex
	batches []string
}

func (r *recorder) record(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, what)
}

func (r *recorder) queue(group *background.Group, alone, most int) *Queue[string, string] {
	return New(Config[string, string]{
		Background: group, Alone: alone, Most: most, Key: func(arg string) string { return arg[:1] },
		One: func(_ context.Context, arg string) (string, error) {
			r.record(arg)
			time.Sleep(time.Second)
			return "one " + arg, nil
		},
		Many: func(_ context.Context, args []string) (results []Result[string]) {
			r.record(strings.Join(args, "+"))
			time.Sleep(time.Second)
			for _, arg := range args {
				results = append(results, Result[string]{Value: "many " + arg})
			}
			return results
		},
	})
}

// do calls Do for each, in this order, and returns the results in any order.
func do(t *testing.T, q *Queue[string, string], args ...string) <-chan string {
	t.Helper()
	results := make(chan string, len(args))
	for _, arg := range args {
		go func() {
			got, err := q.Do(t.Context(), arg)
			require.NoError(t, err)
			results <- got
		}()
		synctest.Wait()
	}
	return results
}

func TestAloneWhileFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, group := &recorder{}, background.New()
		defer group.Close()
		q := r.queue(group, 2, 10)
		for range 3 {
			results := do(t, q, "a", "b")
			require.ElementsMatch(t, []string{"one a", "one b"}, []string{<-results, <-results})
		}
		require.Len(t, r.batches, 6)
	})
}

// TestTogetherWhenMany: those that wait are executed at once by the first statement that ends, at most
// so many, in the order in which they came, and none with the key of another.
func TestTogetherWhenMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, group := &recorder{}, background.New()
		defer group.Close()
		results := do(t, r.queue(group, 2, 3), "a", "b", "c1", "c2", "d", "e", "f")
		began := time.Now()
		for range cap(results) {
			<-results
		}
		require.ElementsMatch(t, []string{"a", "b", "c1+d+e", "c2+f"}, r.batches, "the last two at the same time")
		require.Equal(t, 2*time.Second, time.Since(began))
		synctest.Wait()
		require.Equal(t, "one g", <-do(t, r.queue(group, 1, 3), "g"))
	})
}

// TestOnlyBatchesAfterALargeOne: after a large batch, operations that find a connection free are executed
// together, too, two batches at a time, until some in a row have been small.
func TestOnlyBatchesAfterALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, group := &recorder{}, background.New()
		defer group.Close()
		q := r.queue(group, 3, 100)
		executes := func(args string, how string, batches ...string) {
			t.Helper()
			r.batches = nil
			results := do(t, q, strings.Split(args, "")...)
			for range cap(results) {
				require.Contains(t, <-results, how)
			}
			synctest.Wait()
			require.ElementsMatch(t, batches, r.batches)
		}
		executes("abcdefghijklmnopqrs", "", "a", "b", "c", "d+e+f+g+h+i+j+k+l+m+n+o+p+q+r+s")
		executes("abcde", "many ", "a", "b", "c+d+e")
		executes("abc", "one ", "a", "b", "c")
	})
}

// TestWhoeverLeavesIsNotExecuted: an operation whose context ends while it waits is not executed.
func TestWhoeverLeavesIsNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, group := &recorder{}, background.New()
		defer group.Close()
		q := r.queue(group, 1, 10)
		results, cause := do(t, q, "a"), errors.New("the client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() { _, err := q.Do(ctx, "b"); left <- err }()
		synctest.Wait()
		others := do(t, q, "c", "d")
		cancel(cause)
		require.ErrorIs(t, <-left, cause)
		require.Equal(t, "one a", <-results)
		require.ElementsMatch(t, []string{"many c", "many d"}, []string{<-others, <-others})
		require.Equal(t, []string{"a", "c+d"}, r.batches)
	})
}

// TestWaitingWhenTheStoreIsClosed: they get store.ErrClosed.
func TestWaitingWhenTheStoreIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, group := &recorder{}, background.New()
		q := r.queue(group, 1, 1)
		results, failed := do(t, q, "a"), make(chan error)
		for _, arg := range []string{"b", "c"} {
			go func() { _, err := q.Do(t.Context(), arg); failed <- err }()
			synctest.Wait()
		}
		group.Close()
		require.Equal(t, "one a", <-results)
		require.ErrorIs(t, <-failed, store.ErrClosed)
		require.ErrorIs(t, <-failed, store.ErrClosed)
		require.Equal(t, []string{"a"}, r.batches)
	})
}
