package sealed_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

func TestS17_NoByteCanBeChanged(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	rec := create(t, st)
	whole := get(t, inner, rec.ID).Data
	for i := range whole {
		change(t, inner, rec.ID, func(rec *store.Record) {
			rec.Data = slices.Clone(whole)
			rec.Data[i] ^= 1 << (i % 8)
		})
		_, err := st.Get(t.Context(), rec.ID)
		require.ErrorIs(t, err, sealed.ErrUnopenable, "byte %d", i)
	}
	requireUnopenable(t, st, inner, rec.ID)
	change(t, inner, rec.ID, func(rec *store.Record) { rec.Data = whole })
	require.Equal(t, rec.Data, get(t, st, rec.ID).Data)
}

func TestS17_NothingCanBeCutOffOrAdded(t *testing.T) {
	for name, opts := range map[string]*sealed.Options{"sealed only": quiet(), "plain, too": {
		ReadPlain: true, OnUnopenable: func(sealed.Unopenable) {},
	}} {
		t.Run(name, func(t *testing.T) {
			inner := livestore.New()
			st := seal(t, inner, opts, 1)
			rec := create(t, st)
			whole := get(t, inner, rec.ID).Data
			least := 0
			if opts.ReadPlain {
				least = 1 // no data at all isn't sealed
			}
			for size := least; size < len(whole); size++ {
				change(t, inner, rec.ID, func(rec *store.Record) { rec.Data = whole[:size] })
				_, err := st.Get(t.Context(), rec.ID)
				require.ErrorIs(t, err, sealed.ErrUnopenable, "%d bytes", size)
			}
			change(t, inner, rec.ID, func(rec *store.Record) { rec.Data = append(slices.Clone(whole), 0) })
			requireUnopenable(t, st, inner, rec.ID)
		})
	}
}

// TestS17_FieldsAreBound: a field that stores keep as it is can't be changed in the inner store.
func TestS17_FieldsAreBound(t *testing.T) {
	for name, how := range map[string]func(*store.Record){
		"TokenHash":          func(rec *store.Record) { rec.TokenHash[31]++ },
		"PrevTokenHash":      func(rec *store.Record) { rec.PrevTokenHash[0]++ },
		"TokenGeneration":    func(rec *store.Record) { rec.TokenGeneration++ },
		"LoginGeneration":    func(rec *store.Record) { rec.LoginGeneration-- },
		"RotatedAt":          func(rec *store.Record) { rec.RotatedAt = rec.RotatedAt.Add(time.Millisecond) },
		"RotatedAt to never": func(rec *store.Record) { rec.RotatedAt = time.Time{} },
		"Renewal":            func(rec *store.Record) { rec.Renewal = store.RotationSeen },
		"LoggedIn":           func(rec *store.Record) { rec.LoggedIn = rec.LoggedIn.Add(time.Hour) },
		"LoggedIn to never":  func(rec *store.Record) { rec.LoggedIn = time.Time{} },
		"ClientID":           func(rec *store.Record) { rec.ClientID = "other" },
		"UserID":             func(rec *store.Record) { rec.UserID = "other" },
		"no UserID":          func(rec *store.Record) { rec.UserID = "" },
		"ids swapped":        func(rec *store.Record) { rec.UserID, rec.ClientID = rec.ClientID, rec.UserID },
		"Created":            func(rec *store.Record) { rec.Created = rec.Created.Add(time.Minute) },
		"Idle":               func(rec *store.Record) { rec.Idle = 0 },
		"Lifetime":           func(rec *store.Record) { rec.Lifetime += time.Hour },
		"Writes":             func(rec *store.Record) { rec.Writes++ },
		"Data to plain":      func(rec *store.Record) { rec.Data = []byte(`{"admin":true}`) },
		"no Data":            func(rec *store.Record) { rec.Data = nil },
		"a later format":     func(rec *store.Record) { rec.Data[3]++ },
	} {
		t.Run(name, func(t *testing.T) {
			inner := livestore.New()
			st := seal(t, inner, quiet(), 1)
			rec := create(t, st)
			change(t, inner, rec.ID, how)
			requireUnopenable(t, st, inner, rec.ID)
			was, err := st.Destroy(t.Context(), rec.ID)
			require.NoError(t, err)
			require.True(t, was, "it can be destroyed")
			_, err = st.Get(t.Context(), rec.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

// TestWhatStoresChangeIsNotBound: touches, copies and the store itself change these.
func TestWhatStoresChangeIsNotBound(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	rec := create(t, st)
	changed := change(t, inner, rec.ID, func(rec *store.Record) {
		rec.Seen, rec.Expires = rec.Seen.Add(time.Minute), rec.Expires.Add(time.Minute)
		rec.WriteID[0]++
	})
	require.Greater(t, changed.Revision, rec.Revision)
	rec.Seen, rec.Expires, rec.WriteID, rec.Revision = changed.Seen, changed.Expires, changed.WriteID, changed.Revision
	require.Equal(t, rec, get(t, st, rec.ID))
}

// TestS17_ContentsOfOneSessionDontOpenInAnother: even if all the other fields are the same.
func TestS17_ContentsOfOneSessionDontOpenInAnother(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	one := create(t, st)
	other := create(t, st)
	whole := get(t, inner, one.ID)
	change(t, inner, other.ID, func(rec *store.Record) { rec.Data = whole.Data })
	requireUnopenable(t, st, inner, other.ID)
	require.Equal(t, one, get(t, st, one.ID))
}

func TestS17_ContentsOfOneAppDontOpenInAnother(t *testing.T) {
	inner := livestore.New()
	apps := capability[store.Namespacer](t, seal(t, inner, quiet(), 1))
	shop, blog := apps.App("shop").(*sealed.Store), apps.App("blog").(*sealed.Store)
	rec := create(t, shop)
	whole := get(t, inner.App("shop"), rec.ID)
	require.Equal(t, rec, get(t, shop, rec.ID))
	for name, st := range map[string]*sealed.Store{"blog": blog, "": apps.App("").(*sealed.Store)} {
		there := whole.Clone()
		there.Revision = 0
		set(t, inner.App(name), there)
		requireUnopenable(t, st, inner.App(name), rec.ID)
	}
	own := create(t, blog)
	require.NotEqual(t, whole.UserID, get(t, inner.App("blog"), own.ID).UserID, "a user has another hash in each App")

	opts := quiet()
	opts.App = "shop"
	require.Equal(t, rec, get(t, seal(t, inner.App("shop"), opts, 1), rec.ID), "the App by its name")
	_, err := seal(t, inner.App("shop"), quiet(), 1).Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, sealed.ErrUnopenable, "the App under another name")
}

// TestRecordOfAnotherID: a store that mixes up its answers gives no session.
func TestRecordOfAnotherID(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	st := seal(t, mixedUp{inner, rec.ID}, quiet(), 1)
	_, err := st.Get(t.Context(), "another")
	require.ErrorIs(t, err, sealed.ErrUnopenable)
}

func TestUnknownKey(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	st := seal(t, inner, quiet(), 2, 3)
	requireUnopenable(t, st, inner, rec.ID)
	_, err := st.Get(t.Context(), rec.ID)
	require.ErrorContains(t, err, fmt.Sprintf("%x", get(t, inner, rec.ID).Data[4:12]), "the error names the key")
	require.Equal(t, rec, get(t, seal(t, inner, quiet(), 2, 1), rec.ID), "with the key it opens again")
}

// TestSetOfARevisionThatWasNotOpened: somebody who knows the revision of a record that can't be
// opened doesn't replace it, nor one whose revision differs.
func TestSetOfARevisionThatWasNotOpened(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	for _, key := range []byte{1, 2} {
		st := seal(t, inner, quiet(), key) // another process
		wrong := rec
		wrong.Revision++
		_, err := st.Set(t.Context(), wrong)
		if key == 1 {
			require.ErrorIs(t, err, store.ErrConflict)
		} else {
			require.ErrorIs(t, err, sealed.ErrUnopenable)
			_, err = st.Set(t.Context(), rec)
			require.ErrorIs(t, err, sealed.ErrUnopenable)
		}
		require.Equal(t, rec, get(t, seal(t, inner, nil, 1), rec.ID))
	}
	rec = set(t, seal(t, inner, nil, 1), rec) // a process that hasn't read it
	_, err := seal(t, inner, nil, 1).Set(t.Context(), newRecord(func(rec *store.Record) { rec.Revision = 5 }))
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, rec, get(t, seal(t, inner, nil, 1), rec.ID))
}
