package storetest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// newest calls NewestByClient, and surplus SurplusByClient; both must succeed.
func (e *env) newest(clientID string, n int) []store.Record {
	e.Helper()
	recs, err := capability[store.ClientOrder](e.st).NewestByClient(e.ctx, clientID, n)
	require.NoError(e, err)
	return recs
}

func (e *env) surplus(clientID string, keep, n int) []string {
	e.Helper()
	surplus, err := capability[store.ClientOrder](e.st).SurplusByClient(e.ctx, clientID, keep, n)
	require.NoError(e, err)
	return surplus
}

// of makes the record one of the client, begun that many seconds after base.
func (e *env) of(clientID string, second int) func(*store.Record) {
	return func(rec *store.Record) {
		rec.ClientID, rec.Created = clientID, e.base.Add(time.Duration(second)*time.Second)
	}
}

// createBegun creates records of the client that began one second after the other, in random order,
// and returns their IDs, the oldest first.
func (e *env) createBegun(clientID string, n int, changes ...func(*store.Record)) []string {
	oldestFirst := make([]string, n)
	for _, second := range rand.Perm(n) {
		oldestFirst[second] = e.create(append([]func(*store.Record){e.of(clientID, second)}, changes...)...).ID
	}
	return oldestFirst
}

func user(rec *store.Record) { rec.UserID = "ada" }

func reversed(some []string) []string {
	some = slices.Clone(some)
	slices.Reverse(some)
	return some
}

func orderCases() []testCase {
	const client = "browser"
	return []testCase{
		{
			"newest first",
			"NewestByClient returns up to n records with the ClientID, those that began last, the newest first.",
			func(e *env) {
				oldestFirst := e.createBegun(client, 40)
				e.createBegun("another", 5)
				e.createBegun("", 5)
				for _, n := range []int{0, 1, 2, 16, 39, 40, 41, 1000} {
					got := e.newest(client, n)
					require.Len(e, got, min(n, 40))
					require.Equal(e, strings.Join(reversed(oldestFirst)[:len(got)], " "), strings.Join(ids(got), " "))
					for _, rec := range got {
						requireSame(e, e.get(rec.ID), rec)
					}
				}
				require.Empty(e, e.newest("nobody", 3))
				require.Empty(e, e.newest("", 3), `for "" it returns none`)
			},
		},
		{
			"anonymous and logged in",
			"NewestByClient sorts by Record.Began, the later of Created and LoggedIn, with or without a user.",
			func(e *env) {
				oldestFirst := e.createBegun(client, 12)
				for i, second := range []int{3, 0, 7} { // these log in one after the other
					rec := e.get(oldestFirst[second])
					rec.UserID, rec.LoggedIn = "ada", e.base.Add(time.Duration(100+i)*time.Second)
					rec.TokenGeneration++
					e.set(rec)
				}
				require.Equal(e,
					[]string{oldestFirst[7], oldestFirst[0], oldestFirst[3], oldestFirst[11]},
					ids(e.newest(client, 4)))
				again := e.get(oldestFirst[3])
				again.LoggedIn = e.base.Add(200 * time.Second)
				again.TokenGeneration++
				again = e.set(again)
				require.Equal(e,
					[]string{oldestFirst[3], oldestFirst[7], oldestFirst[0], oldestFirst[11]},
					ids(e.newest(client, 4)))
				again.Data = []byte(`{"n":7}`)
				e.set(again)
				got := e.newest(client, 1)
				require.Len(e, got, 1)
				requireSame(e, e.get(oldestFirst[3]), got[0])
				require.Len(e, e.newest(client, 100), 12, "each once")
			},
		},
		{
			"surplus",
			"SurplusByClient returns the IDs of the records with the ClientID and without a UserID, except for the keep " +
				"records that began last: up to n, the oldest first.",
			func(e *env) {
				users := e.createBegun(client, 10, user)
				guests := e.createBegun(client, 20)
				e.createBegun("another", 30)
				e.createBegun("", 30)
				for _, c := range []struct{ keep, n, want int }{
					{20, 9, 0}, {25, 9, 0}, {19, 9, 1}, {16, 9, 4}, {5, 9, 9}, {0, 100, 20}, {16, 0, 0},
				} {
					got := e.surplus(client, c.keep, c.n)
					require.Len(e, got, c.want, "keep %d, up to %d", c.keep, c.n)
					require.Equal(e, strings.Join(guests[:c.want], " "), strings.Join(got, " "))
				}
				rec := e.get(guests[0])
				rec.UserID, rec.LoggedIn = "ada", e.base.Add(time.Minute)
				rec.TokenGeneration++
				e.set(rec)
				require.Equal(e, guests[1:3], e.surplus(client, 17, 9), "a session with a user isn't counted")
				rec = e.get(users[0])
				rec.UserID = ""
				e.set(rec)
				require.Contains(e, e.surplus(client, 0, 100), users[0], "a session without a user is")
				require.Empty(e, e.surplus("nobody", 0, 3))
				require.Empty(e, e.surplus("", 0, 3), `for "" it returns none`)
			},
		},
		{
			"gone and moved",
			"NewestByClient and SurplusByClient return existing records, by their current ClientID.", func(e *env) {
				guests := e.createBegun(client, 30)
				for _, id := range guests[:10] {
					e.destroy(id, true)
				}
				require.Equal(e, guests[10:13], e.surplus(client, 17, 9))
				e.destroy(guests[29], true)
				moved := e.get(guests[28])
				moved.ClientID = "another"
				e.set(moved)
				require.Equal(e, []string{guests[27], guests[26]}, ids(e.newest(client, 2)))
				require.Equal(e, []string{moved.ID}, ids(e.newest("another", 2)))
				require.Equal(e, guests[10:12], e.surplus(client, 16, 9))
				if sweeper, ok := store.As[store.Sweeper](e.st); ok {
					rec := e.get(guests[27])
					rec.Expires = e.base.Add(time.Second)
					e.set(rec)
					_, err := sweeper.Sweep(e.ctx, e.base.Add(time.Minute), 10)
					require.NoError(e, err)
					require.Equal(e, []string{guests[26]}, ids(e.newest(client, 1)))
				}
				for _, id := range guests[10:27] {
					e.destroy(id, true)
				}
				require.Empty(e, e.newest(client, 3))
				require.Empty(e, e.surplus(client, 0, 3))
			},
		},
		{"many", "NewestByClient and SurplusByClient are correct for any number of sessions.", func(e *env) {
			guests := e.createBegun(client, 500)
			users := e.createBegun(
				client,
				300,
				user,
				func(rec *store.Record) { rec.LoggedIn = rec.Created.Add(time.Hour) },
			)
			require.Equal(e, reversed(users)[:5], ids(e.newest(client, 5)))
			require.Equal(e, guests[:32], e.surplus(client, 16, 32))
			for _, id := range guests[:484] {
				e.destroy(id, true)
			}
			require.Empty(e, e.surplus(client, 16, 32))
			require.Equal(e, guests[484:487], e.surplus(client, 13, 32))
		}},
		{"similar names", "NewestByClient and SurplusByClient distinguish clients as ByClient does.", func(e *env) {
			for _, id := range []string{"a", "a:b", "A", "a ", "é", "e\u0301", "{a}", newID()} {
				e.createBegun(id, 3)
			}
			for _, id := range []string{"a", "a:b", "A", "a ", "é", "e\u0301", "{a}"} {
				require.Len(e, e.newest(id, 9), 3, "%q", id)
				require.Len(e, e.surplus(id, 0, 9), 3, "%q", id)
			}
		}},
	}
}
