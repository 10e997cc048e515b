package security_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Responses that renew a token come late, twice or never, in any order, from two nodes: the browser
// never loses its session.
func TestS04_RenewalsInAnyOrderCostNobodyTheSession_Soak(t *testing.T) {
	t.Parallel()
	histories := uint64(40)
	if os.Getenv("SOAK") != "" {
		histories = 1000
	}
	for seed := range histories {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { renewalHistory(t, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func renewalHistory(t *testing.T, rnd *rand.Rand) {
	every := []time.Duration{6 * time.Minute, 15 * time.Minute, time.Hour}[rnd.IntN(3)]
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}, RenewEvery: every, StrictBinding: rnd.IntN(2) == 0, IdleTimeout: bridge.Off}
	var nodes []http.Handler
	if rnd.IntN(2) == 0 {
		st := testhub.New()
		for range 2 {
			a := testkit.NewApp(t, st, opts)
			testkit.SleepyPages(a)
			nodes = append(nodes, a.Handler(a.Mux))
		}
	} else {
		a := testkit.NewApp(t, livestore.New(), opts)
		testkit.SleepyPages(a)
		nodes = append(nodes, a.Handler(a.Mux))
	}
	upTo := func(d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d))) }
	p := webclient.Pocket{}
	p.Get(t, nodes[0], "/inc")
	var mu sync.Mutex // of p and log
	var log []string
	note := func(format string, args ...any) {
		log = append(log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
	}
	for n := range 40 {
		h := nodes[rnd.IntN(len(nodes))]
		path := []string{"/get", "/sleepy?before=%v&after=%v", "/sleepyset?before=%v&after=%v", "/sleepywith?before=%v&after=%v"}[rnd.IntN(4)]
		if path != "/get" {
			path = fmt.Sprintf(path, upTo(5*time.Second), upTo(5*time.Second))
		}
		lates := make([]time.Duration, rnd.IntN(3))
		for i := range lates {
			lates[i] = upTo([]time.Duration{time.Second, 2*time.Minute + 45*time.Second}[rnd.IntN(2)])
		}
		mu.Lock()
		note("%d %s %v", n, path, lates)
		mine := maps.Clone(p)
		mu.Unlock()
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			for name, value := range mine {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%d: %d %s", n, w.Code, w.Body)
			}
			for _, late := range lates {
				time.AfterFunc(late, func() {
					mu.Lock()
					defer mu.Unlock()
					note("%d arrives: %d cookies", n, len(w.Result().Cookies()))
					for _, c := range w.Result().Cookies() {
						p[c.Name] = c.Value
					}
				})
			}
		}()
		time.Sleep(upTo([]time.Duration{time.Millisecond, 5 * time.Second, time.Minute, every - time.Minute, every - 3*time.Minute}[rnd.IntN(5)]))
		synctest.Wait()
	}
	time.Sleep(20 * time.Second)
	mu.Lock()
	defer mu.Unlock()
	if got := p.Get(t, nodes[0], "/get").Body.String(); got != "1" {
		for _, line := range log {
			t.Log(line)
		}
		t.Errorf("the session is lost: %s", got)
	}
}
