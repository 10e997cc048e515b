package livestore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestFakeTime: in a testing/synctest bubble a day passes at once, and no goroutine is left behind.
func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		rec := sample(1)
		rec.Seen, rec.Expires = time.Now(), time.Now().Add(24*time.Hour)
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)

		time.Sleep(24*time.Hour - time.Second)
		swept, err := st.Sweep(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		require.Empty(t, swept)

		time.Sleep(time.Second)
		swept, err = st.Sweep(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		require.Len(t, swept, 1)
		require.NoError(t, st.Close())
	})
}
