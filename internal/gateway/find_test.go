package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The capabilities of a livestore, one by one.
type (
	bare     struct{ store.Store }
	lister   struct{ st *livestore.Store }
	users    struct{ st *livestore.Store }
	clients  struct{ st *livestore.Store }
	order    struct{ st *livestore.Store }
	activity struct{ st *livestore.Store }
	active   struct{ st *livestore.Store }
)

func (l lister) List(ctx context.Context) iter.Seq2[store.Record, error] { return l.st.List(ctx) }

func (u users) ByUser(ctx context.Context, id string) iter.Seq2[store.Record, error] {
	return u.st.ByUser(ctx, id)
}

func (c clients) ByClient(ctx context.Context, id string) iter.Seq2[store.Record, error] {
	return c.st.ByClient(ctx, id)
}

func (o order) NewestByClient(ctx context.Context, id string, n int) ([]store.Record, error) {
	return o.st.NewestByClient(ctx, id, n)
}

func (o order) SurplusByClient(ctx context.Context, id string, keep, n int) ([]string, error) {
	return o.st.SurplusByClient(ctx, id, keep, n)
}

func (a activity) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return a.st.ActiveSince(ctx, since)
}

func (a active) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return a.st.ListActive(ctx, since, now)
}

// capable returns livestores that show only the capabilities that their names list.
func capable(st *livestore.Store) map[string]store.Store {
	type (
		l  = lister
		u  = users
		c  = clients
		o  = order
		a  = activity
		al = active
		b  = bare
	)
	basic := b{st}
	return map[string]store.Store{
		"none": basic,
		"lister": struct {
			b
			l
		}{basic, l{st}},
		"activity": struct {
			b
			a
		}{basic, a{st}},
		"users": struct {
			b
			u
		}{basic, u{st}},
		"clients": struct {
			b
			c
		}{basic, c{st}},
		"order": struct {
			b
			o
		}{basic, o{st}},
		"active": struct {
			b
			al
		}{basic, al{st}},
		"lister and indexes": struct {
			b
			l
			u
			c
		}{basic, l{st}, u{st}, c{st}},
		"all": st,
	}
}

// filled holds ten sessions of two users, one without a user, and two clients; s0 was seen first,
// and s4 is past its time.
func filled(t *testing.T) (st *livestore.Store, now time.Time) {
	st, now = livestore.New(), gateway.Now()
	for i := range 10 {
		seen := now.Add(time.Duration(i-10) * time.Minute)
		rec := store.Record{
			ID: fmt.Sprint("s", i), UserID: []string{"ada", "bob", ""}[i%3], ClientID: []string{"c0", "c1"}[i%2],
			Created: seen, Seen: seen, Expires: now.Add(time.Hour), Data: []byte("{}"),
		}
		if i == 4 {
			rec.Expires = now.Add(-time.Second)
		}
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
	}
	return st, now
}

func ids(t *testing.T, all iter.Seq2[store.Record, error]) (found []string) {
	for rec, err := range all {
		require.NoError(t, err)
		found = append(found, rec.ID)
	}
	return found
}

func sorted(s []string) []string { slices.Sort(s); return s }

func TestFindersAgreeWhateverTheStoreCanDo(t *testing.T) {
	st, now := filled(t)
	every := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"}
	ofAda, since := []string{"s0", "s3", "s6", "s9"}, now.Add(-6*time.Minute)
	for name, test := range map[string]struct{ byUser, all, newest, active, client bool }{
		"none":               {},
		"lister":             {byUser: true, all: true, newest: true, active: true},
		"activity":           {byUser: true, all: true, newest: true, active: true},
		"users":              {byUser: true},
		"clients":            {client: true},
		"order":              {client: true},
		"active":             {active: true},
		"lister and indexes": {byUser: true, all: true, newest: true, active: true, client: true},
		"all":                {byUser: true, all: true, newest: true, active: true, client: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(capable(st)[name])
			found := func(want bool, err error) bool {
				t.Helper()
				if !want {
					require.ErrorIs(t, err, errors.ErrUnsupported)
					require.ErrorContains(t, err, "store.")
					return false
				}
				require.NoError(t, err)
				return true
			}
			all, err := g.ByUser(t.Context(), "ada")
			if found(test.byUser, err) {
				require.Equal(t, ofAda, sorted(ids(t, all)))
			}
			mine, err := g.SessionsOfUser(t.Context(), "bob")
			if found(test.byUser, err) {
				require.Equal(t, []string{"s1", "s7"}, sorted(mine), "s4 is past its time")
			}
			all, err = g.All(t.Context())
			if found(test.all, err) {
				require.Equal(t, every, sorted(ids(t, all)))
			}
			keep := func(rec *store.Record) bool { return !rec.Seen.Before(since) }
			all, err = g.Newest(t.Context(), gateway.Query{Since: since}, keep)
			if found(test.newest, err) {
				require.Equal(t, []string{"s9", "s8", "s7", "s6", "s5", "s4"}, ids(t, all))
			}
			was, err := g.Active(t.Context(), since, now)
			if found(test.active, err) {
				var active []string
				for a, err := range was {
					require.NoError(t, err)
					active = append(active, a.ID+" "+a.UserID)
				}
				require.Equal(t, []string{"s5 ", "s6 ada", "s7 bob", "s8 ", "s9 ada"}, sorted(active))
			}
			require.Equal(t, test.client, g.FindsClients())
			rec, err := g.NewestOfClient(t.Context(), "c1")
			if !test.client {
				require.ErrorIs(t, err, gateway.ErrMissing)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "s9", rec.ID)
			surplus, err := g.SurplusOfClient(t.Context(), "c0", 1, 10)
			require.NoError(t, err)
			require.Equal(t, []string{"s2"}, surplus, "of s2 and s8, which have no user")
		})
	}
}

func TestNewestUsesTheIndexThatLeadsToFewestRecords(t *testing.T) {
	st, _ := filled(t)
	none := func(*store.Record) bool { return false }
	for name, test := range map[string]struct {
		query gateway.Query
		want  []string
	}{
		"by the user":   {gateway.Query{UserID: "ada", ClientID: "c0"}, []string{"s9", "s6", "s3", "s0"}},
		"by the client": {gateway.Query{ClientID: "c1"}, []string{"s9", "s7", "s5", "s3", "s1"}},
		"from a list":   {gateway.Query{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(capable(st)["lister and indexes"])
			all, err := g.Newest(t.Context(), test.query, none)
			require.NoError(t, err)
			require.Equal(t, test.want, ids(t, all), "only a list is filtered and sorted in memory")
		})
	}
}

func TestFoundRecordsEndWithTheFirstError(t *testing.T) {
	st, _ := filled(t)
	for _, name := range []string{"lister", "activity", "all"} {
		g := newGateway(capable(st)[name])
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		all, err := g.ByUser(ctx, "ada")
		require.NoError(t, err)
		errs := 0
		for _, err := range all {
			require.ErrorIs(t, err, context.Canceled)
			errs++
		}
		require.Equal(t, 1, errs, name)
	}
}
