package ends_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/ends"
)

func TestEndIsRememberedForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ends.New(time.Hour, 10)
		at := time.Now()
		l.Add("one", "logout")
		time.Sleep(time.Hour - time.Nanosecond)
		l.Add("one", "expired") // a session ends once
		e, ok := l.Find("one")
		require.True(t, ok)
		require.Equal(t, ends.End{At: at, Reason: "logout"}, e)
		time.Sleep(time.Nanosecond)
		_, ok = l.Find("one")
		require.False(t, ok)
		_, ok = l.Find("another")
		require.False(t, ok)
	})
}

func TestEndsAreBounded(t *testing.T) {
	const most = 4
	l := ends.New(time.Hour, most)
	known := func(id string) bool { _, ok := l.Find(id); return ok }
	for n := range 3 * most {
		l.Add(strconv.Itoa(n), "")
		l.Add(strconv.Itoa(n), "") // counts once
		for m := range n + 1 {
			require.Equal(t, m > n-most, known(strconv.Itoa(m)), "%d after %d", m, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	l := ends.New(time.Hour, 16)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 100 {
				id := fmt.Sprint(n, i)
				l.Add(id, "logout")
				if e, ok := l.Find(id); ok && e.Reason != "logout" {
					t.Errorf("%s ended by %q", id, e.Reason)
				}
			}
		})
	}
	all.Wait()
}
