package sealed_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// lost returns a store with n records that can't be opened, and a good one.
func lost(t *testing.T, opts *sealed.Options, n int) (st *sealed.Store, inner *livestore.Store, lost []string) {
	t.Helper()
	inner = livestore.New()
	other := seal(t, inner, nil, 9)
	for i := range n {
		lost = append(lost, create(t, other, func(rec *store.Record) { rec.ID = fmt.Sprint("lost ", i) }).ID)
	}
	st = seal(t, inner, opts, 1)
	create(t, st)
	return st, inner, lost
}

func TestEachRecordThatCantBeOpenedIsReportedOnce(t *testing.T) {
	opts, told := reports()
	st, _, lost := lost(t, opts, 3)
	_, err := st.Get(t.Context(), lost[1])
	require.ErrorIs(t, err, sealed.ErrUnopenable)
	require.Len(t, told(), 1)
	require.Equal(t, lost[1:2], told()[0].IDs)
	require.ErrorIs(t, told()[0].Err, sealed.ErrUnopenable)

	for range 3 {
		require.Len(t, ids(t, list(t, st)), 1)
		require.Len(t, ids(t, capability[store.ActivityIndex](t, st).ActiveSince(t.Context(), time.Time{})), 1)
	}
	require.Len(t, told(), 2, "a listing reports what it finds at once")
	require.ElementsMatch(t, []string{lost[0], lost[2]}, told()[1].IDs)

	was, err := st.Destroy(t.Context(), lost[0])
	require.NoError(t, err)
	require.True(t, was)
	require.Len(t, ids(t, list(t, st)), 1)
	require.Len(t, told(), 2)
}

func TestReportsAreBounded(t *testing.T) {
	opts, told := reports()
	st, _, _ := lost(t, opts, sealed.MaxReported+50)
	for range 2 {
		require.Len(t, ids(t, list(t, st)), 1)
	}
	require.Len(t, told(), 1)
	require.Len(t, told()[0].IDs, sealed.MaxIDs)
	require.Equal(t, sealed.MaxReported-sealed.MaxIDs+1, told()[0].More, "and that there are further ones")
}

// TestReportedAgain: a record that could be opened meanwhile, from a backup, is reported again.
func TestReportedAgain(t *testing.T) {
	opts, told := reports()
	inner := livestore.New()
	st := seal(t, inner, opts, 1)
	rec := create(t, st)
	whole := get(t, inner, rec.ID).Data
	for i := range 3 {
		change(t, inner, rec.ID, func(rec *store.Record) { rec.Data = whole[1:] })
		_, err := st.Get(t.Context(), rec.ID)
		require.ErrorIs(t, err, sealed.ErrUnopenable)
		require.Len(t, told(), i+1)
		change(t, inner, rec.ID, func(rec *store.Record) { rec.Data = whole })
		get(t, st, rec.ID)
	}
}

func TestWithoutACallbackTheLogHasTheNumberAndNoID(t *testing.T) {
	var out bytes.Buffer
	st, _, lost := lost(t, &sealed.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))}, 3)
	require.Len(t, ids(t, list(t, st)), 1)
	require.Contains(t, out.String(), "sessions=3")
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	for _, id := range lost {
		require.NotContains(t, out.String(), id)
	}
}

// TestTheCallbackMayUseTheStore: no lock is held.
func TestTheCallbackMayUseTheStore(t *testing.T) {
	opts := &sealed.Options{}
	st, inner, lost := lost(t, opts, 0)
	require.Empty(t, lost)
	rec := create(t, seal(t, inner, nil, 9))
	opts.OnUnopenable = func(u sealed.Unopenable) {
		for _, id := range u.IDs {
			_, err := st.Destroy(t.Context(), id)
			require.NoError(t, err)
		}
	}
	st = seal(t, inner, opts, 1)
	_, err := st.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, sealed.ErrUnopenable)
	_, err = st.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestLookupsPassOverWhatCantBeOpened(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	var all []string // the newest first
	for i := range 5 {
		at := noon.Add(time.Duration(i) * time.Minute)
		all = append([]string{create(t, st, func(rec *store.Record) { rec.LoggedIn, rec.Seen = at, at }).ID}, all...)
	}
	for _, id := range all[:3] {
		change(t, inner, id, func(rec *store.Record) { rec.Data[20]++ })
	}
	require.Equal(t, all[3:], byUser(t, st, "secret-user"))
	require.Equal(t, all[3:], byClient(t, st, "secret-client"))
	for n := range 4 {
		recs, err := capability[store.ClientOrder](t, st).NewestByClient(t.Context(), "secret-client", n)
		require.NoError(t, err)
		require.Len(t, recs, min(n, 2), "the newest of those that can be opened")
	}
	var active []string
	for a, err := range capability[store.ActiveLister](t, st).ListActive(t.Context(), time.Time{}, noon) {
		require.NoError(t, err)
		active = append(active, a.ID)
	}
	require.ElementsMatch(t, all[3:], active)
}

// TestSweepRemovesWhatCantBeOpened: it has expired, too.
func TestSweepRemovesWhatCantBeOpened(t *testing.T) {
	opts, told := reports()
	st, inner, lost := lost(t, opts, 2)
	recs, err := capability[store.Sweeper](t, st).Sweep(t.Context(), noon.Add(3*time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, recs, 3)
	for _, rec := range recs {
		require.NotEmpty(t, rec.ID)
		require.True(t, rec.UserID == "secret-user" || rec.UserID == "" && rec.Data == nil && rec.ClientID == "")
	}
	require.Len(t, told(), 1)
	require.ElementsMatch(t, lost, told()[0].IDs)
	require.Empty(t, ids(t, inner.List(t.Context())))
}
