package allowance_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		perSecond    float64
		burst        int
		atOnce, soon int // of 100, and of 100 a second later
	}{
		"no limit":                {0, 3, 100, 100},
		"a limit switched off":    {-1, 0, 100, 100},
		"a burst switched off":    {10, -1, 100, 100},
		"a burst":                 {10, 3, 3, 3},
		"a second's worth":        {9.5, 0, 10, 9},
		"less than one a second":  {0.1, 0, 1, 0},
		"more than it grows back": {2, 50, 50, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := allowance.NewPace(test.perSecond, test.burst)
				allowed := func() (n int) {
					for range 100 {
						if p.Allow() {
							n++
						}
					}
					return n
				}
				require.Equal(t, test.atOnce, allowed())
				time.Sleep(time.Second)
				require.Equal(t, test.soon, allowed())
			})
		})
	}
}
