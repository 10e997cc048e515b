package registry_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestSessionIsLookedAtWhenItMayHaveExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		f.add("s", 1)
		expires := time.Now().Add(time.Hour)
		f.Learn(&store.Record{ID: "s", Revision: 1, Expires: expires})
		f.Learn(&store.Record{ID: "s", Revision: 2, Expires: expires.Add(time.Hour)}) // the earlier look stays
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		require.Empty(t, f.looks())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"s"}, f.looks())

		f.Learn(&store.Record{ID: "s", Revision: 3, Expires: expires.Add(time.Hour)})
		f.PartSession("s", registry.Close{})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Empty(t, f.looks(), "it has no connections any more")
	})
}

// A look usually ends a session whose time is over. If the session stays, looks don't follow one
// another at once.
func TestSessionWhoseTimeIsOverIsLookedAtAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		f.add("s", 1)
		rec := &store.Record{ID: "s", Revision: 1, Expires: time.Now().Add(time.Hour)}
		f.Learn(rec)
		time.Sleep(time.Hour)
		for range 10 {
			synctest.Wait()
			require.Len(t, f.looks(), 1)
			f.Learn(rec)
			synctest.Wait()
			require.Empty(t, f.looks())
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// What has been learned of a session that was not looked at yet may be over already.
func TestSessionThatHasExpiredIsLookedAtAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		f.add("s", 1)
		f.Learn(&store.Record{ID: "s", Revision: 1, Expires: time.Now().Add(-time.Second)})
		synctest.Wait()
		require.Equal(t, []string{"s"}, f.looks())
	})
}

func TestSessionIsLookedAtRegularly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 10 * time.Minute
		f := newFixture(t, registry.Config[*conn]{RevalidateEvery: every})
		f.add("s", 1)
		for range 100 {
			f.Learn(&store.Record{ID: "s", Revision: 1})
			time.Sleep(every)
			synctest.Wait()
			require.Len(t, f.looks(), 1, "each look comes within the interval after what was learnt last")
		}
	})
}

// While the store is away a session keeps its connections until its time is over.
func TestConnectionsAreGivenUpOnlyWhereTheSessionMayBeOver(t *testing.T) {
	for name, c := range map[string]struct {
		expires time.Duration // zero: never
		suspect bool
		gone    bool
	}{
		"alive for ever":  {0, false, false},
		"alive for a day": {24 * time.Hour, false, false},
		"expired":         {time.Second, false, true},
		"suspected":       {24 * time.Hour, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, registry.Config[*conn]{})
				l := f.add("s", 1)
				rec := &store.Record{ID: "s", Revision: 1}
				if c.expires > 0 {
					rec.Expires = time.Now().Add(c.expires)
				}
				f.Learn(rec)
				time.Sleep(2 * time.Second)
				if c.suspect {
					f.Suspect("s", time.Now())
				}
				began := time.Now()
				var gone []*conn
				f.looks()
				for time.Since(began) < 10*time.Minute && gone == nil {
					gone = f.Retry("s")
					for tries := 0; gone == nil && len(f.looks()) == 0; tries++ {
						require.Less(t, tries, 10, "it is looked at again")
						time.Sleep(time.Second)
						synctest.Wait()
					}
				}
				if !c.gone {
					require.Empty(t, gone)
					return
				}
				require.Equal(t, []*conn{l}, gone)
				require.InDelta(t, 30, time.Since(began).Seconds(), 2)
				require.Empty(t, f.Retry("unknown"))
			})
		})
	}
}

func TestStoreThatAnswersEndsTheSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, registry.Config[*conn]{})
		f.add("s", 1)
		rec := &store.Record{ID: "s", Revision: 1, Expires: time.Now().Add(24 * time.Hour)}
		f.Learn(rec)
		f.SuspectAll(time.Now())
		time.Sleep(time.Minute)
		f.Learn(rec)
		require.Empty(t, f.Retry("s"))
		f.SuspectAll(time.Now().Add(-time.Minute))
		require.NotEmpty(t, f.Retry("s"))
	})
}

func TestActivityIsRecordedByOneAtATime(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	now := time.Now()
	bare, c := f.add("", 0), f.add("s", 1)
	claim := func(c *conn, at time.Time) bool {
		id, claimed := f.ClaimActivity(&c.entry, at, time.Minute)
		require.True(t, !claimed || id == "s")
		return claimed
	}
	require.False(t, claim(bare, now), "it has no session")
	require.True(t, claim(c, now))
	require.False(t, claim(c, now), "it is being recorded")
	f.Recorded("s", &store.Record{ID: "s", Seen: now})
	require.False(t, claim(c, now.Add(59*time.Second)))
	require.True(t, claim(c, now.Add(time.Minute)))
	f.Recorded("s", nil)
	require.True(t, claim(c, now.Add(time.Minute)), "that failed")

	f.Recorded("s", &store.Record{ID: "s", Seen: now, Idle: 100 * time.Second})
	require.False(t, claim(c, now.Add(9*time.Second)))
	require.True(t, claim(c, now.Add(10*time.Second)), "a tenth of the idle timeout")
	f.Recorded("s", &store.Record{ID: "s", Seen: now.Add(-time.Hour), Idle: 100 * time.Second})
	require.False(t, claim(c, now.Add(9*time.Second)), "an older record changes nothing")
	f.Recorded("unknown", nil)
}
