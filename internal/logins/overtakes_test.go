package logins_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestOnlySomeLoginsOfAClientOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := logins.NewOvertakes()
		login := func() *store.Record {
			time.Sleep(time.Millisecond)
			return &store.Record{ID: "s", Created: time.Now()}
		}
		for range 8 {
			rec := login()
			for range 100 {
				require.True(t, o.Counts("client", rec), "however many requests it overtakes, it is one login")
			}
		}
		late := login()
		require.False(t, o.Counts("client", late))
		require.True(t, o.Counts("another", late))
		time.Sleep(2 * time.Minute)
		require.False(t, o.Counts("client", late), "a login that doesn't count never does")
		require.True(t, o.Counts("client", login()))
		require.False(t, o.Counts("client", login()))
	})
}
