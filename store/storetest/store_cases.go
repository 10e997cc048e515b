package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func storeCases() []testCase {
	return []testCase{
		{"get missing", "Get returns ErrNotFound if there is none.", func(e *env) {
			e.requireGone(newID())
		}},
		{"create", "Revision 0 creates the record.", func(e *env) {
			rec := e.create()
			e.requireStored(rec)
		}},
		{
			"create existing",
			"Set returns ErrConflict if another revision is stored, or if the record to be created exists. It has then " +
				"changed nothing.",
			func(e *env) {
				rec := e.create()
				other := e.newRecord(func(other *store.Record) { other.ID = rec.ID })
				_, err := e.trySet(other)
				require.ErrorIs(e, err, store.ErrConflict)
				e.requireStored(rec)
			},
		},
		{
			"update",
			"Set stores rec if rec.Revision is the stored revision, and returns the new revision, which is greater.",
			func(e *env) {
				rec := e.create()
				for i := range 5 {
					rec.Data = counter(i + 1)
					rec.WriteID = newWriteID()
					rec = e.set(rec)
					e.requireStored(rec)
				}
			},
		},
		{
			"update of a stale revision",
			"Set returns ErrConflict if another revision is stored. It has then changed nothing.", func(e *env) {
				stale := e.create()
				current := stale
				current.Data = counter(1)
				current = e.set(current)
				for _, revision := range []uint64{stale.Revision, current.Revision + 1, current.Revision + 1000} {
					wrong := stale
					wrong.Revision, wrong.Data, wrong.UserID = revision, counter(2), "intruder"
					_, err := e.trySet(wrong)
					require.ErrorIs(e, err, store.ErrConflict)
					e.requireStored(current)
				}
			},
		},
		{
			"update of an unknown ID",
			"Set returns ErrNotFound if rec.Revision isn't 0 and the ID doesn't exist. It has then changed nothing.",
			func(e *env) {
				rec := e.newRecord(func(rec *store.Record) { rec.Revision = 1 })
				_, err := e.trySet(rec)
				require.ErrorIs(e, err, store.ErrNotFound)
				e.requireGone(rec.ID)
			},
		},
		{
			"update after destroy",
			"Set returns ErrNotFound if rec.Revision isn't 0 and the ID doesn't exist: an ended session can't be brought " +
				"back.",
			func(e *env) {
				rec := e.create(func(rec *store.Record) { rec.UserID = "ada" })
				e.destroy(rec.ID, true)
				_, err := e.trySet(rec)
				require.ErrorIs(e, err, store.ErrNotFound)
				e.requireGone(rec.ID)
			},
		},
		{"destroy", "Destroy returns false and no error if there was none.", func(e *env) {
			rec, other := e.create(), e.create()
			e.destroy(rec.ID, true)
			e.requireGone(rec.ID)
			e.destroy(rec.ID, false)
			e.destroy(newID(), false)
			e.requireStored(other)
		}},
		{"destroy any revision", "Destroy removes the record with the ID, regardless of its revision.", func(e *env) {
			rec := e.create()
			rec = e.set(e.set(rec))
			e.destroy(rec.ID, true)
			e.requireGone(rec.ID)
		}},
		{"every field", "Set stores rec: Get returns every field, times to the millisecond.", everyField},
		{"zero fields", "The zero time means never or not yet; a zero Idle or Lifetime means no limit.", func(e *env) {
			rec := e.create(func(rec *store.Record) {
				*rec = store.Record{ID: rec.ID, Data: []byte(`{}`)}
			})
			got := e.get(rec.ID)
			requireSame(e, rec, got)
			for _, at := range []time.Time{got.Expires, got.RotatedAt, got.LoggedIn, got.Created, got.Seen} {
				require.True(e, at.IsZero(), "zero times stay zero")
			}
		}},
		{"fields back to zero", "Set replaces the record: no field keeps its previous value.", func(e *env) {
			rec := e.create(func(rec *store.Record) {
				rec.UserID, rec.Lifetime, rec.RotatedAt, rec.LoggedIn = "ada", time.Hour, e.base, e.base
			})
			rec = e.set(store.Record{ID: rec.ID, Revision: rec.Revision, Seen: rec.Seen, Data: []byte(`{}`)})
			e.requireStored(rec)
		}},
		{"odd IDs", "A Store holds records by ID: any ID identifies one record.", oddIDs},
		{
			"aliasing",
			"Records are copied on their way in and out: a caller's later changes to a Record or its Data affect neither " +
				"the stored record nor other callers.",
			func(e *env) {
				data := []byte(`{"n":1}`)
				rec := e.create(func(rec *store.Record) { rec.Data = data })
				want := rec.Clone()
				scribble(data)
				e.requireStored(want)
				first := e.get(rec.ID)
				second := e.get(rec.ID)
				scribble(first.Data)
				requireSame(e, want, second)
				e.requireStored(want)
			},
		},
		{
			"expired records stay",
			"A Store keeps expired records until they are swept or destroyed, and treats them like any other record.",
			func(e *env) {
				rec := e.create(func(rec *store.Record) { rec.Expires = e.base.Add(-time.Second) })
				e.requireStored(rec)
				rec.Data = counter(1)
				rec = e.set(rec)
				e.requireStored(rec)
				e.destroy(rec.ID, true)
			},
		},
		{"context that ended", "When a context ends, the error matches its cause.", endedContext},
		{
			"Seen never moves back",
			"Seen never moves back: if the stored Seen is after that of rec, rec gets the stored Seen and its Expires " +
				"moves by the same amount, up to the end of its lifetime.",
			keepSeen,
		},
		{
			"lost reply",
			"A writer whose attempt ends with a conflict, or without a reply, finds out by the WriteID whether the stored " +
				"revision is its own.",
			func(e *env) {
				rec := e.newRecord()
				for range 2 { // a create, then an update
					revision := e.set(rec).Revision
					_, err := e.trySet(rec) // the reply of the first attempt was lost
					require.ErrorIs(e, err, store.ErrConflict)
					stored := e.get(rec.ID)
					require.Equal(e, rec.WriteID, stored.WriteID)
					require.Equal(e, revision, stored.Revision)
					rec = stored
					rec.WriteID = newWriteID()
				}
			},
		},
	}
}

func (e *env) destroy(id string, existed bool) {
	e.Helper()
	got, err := e.st.Destroy(e.ctx, id)
	require.NoError(e, err)
	require.Equal(e, existed, got, "Destroy returns whether the record existed")
}

func everyField(e *env) {
	rec := e.create(func(rec *store.Record) {
		copy(rec.PrevTokenHash[:], strings.Repeat("\x00\xff", 16))
		rec.TokenGeneration, rec.LoginGeneration = 1<<40, 1<<39
		rec.RotatedAt, rec.Renewal = e.base.Add(-time.Millisecond), store.RenewalSeen
		rec.LoggedIn = e.base.Add(-time.Minute)
		rec.ClientID, rec.UserID = "client:1", "Zoë Žižek <z@example.org> 👩‍💻:{x}"
		rec.Addr, rec.UserAgent = "[2001:db8::1]:443", `Mozilla/5.0 (X11; "Linux"; 日本)`
		rec.Data = []byte(`{"a":"é\u0000","b":[1,2,{"c":null}],"d":"` + strings.Repeat("x", 5000) + `"}`)
		rec.Created = e.base.Add(-time.Hour + 123*time.Millisecond)
		rec.Seen = e.base.Add(456 * time.Millisecond)
		rec.Expires = e.base.Add(24*time.Hour + 789*time.Millisecond)
		rec.Idle, rec.Lifetime = 90*time.Second, 30*24*time.Hour
		rec.Writes = 1 << 41
	})
	e.requireStored(rec)
}

func oddIDs(e *env) {
	odd := []string{
		"",
		"a",
		"a:b",
		"a:b:c",
		"a/b",
		"a b",
		"{a}",
		"{a}:b",
		"a*",
		"a%3Ab",
		"a'b\"c",
		"a\nb",
		"é",
		"e\u0301",
		"👩‍💻",
		"A",
		"..",
		"__proto__",
		"constructor",
		strings.Repeat("a:", 100),
	}
	for _, id := range odd {
		e.create(func(rec *store.Record) { rec.ID, rec.UserID, rec.ClientID = id, "user:"+id, "client:"+id })
	}
	for _, id := range odd {
		require.Equal(e, "user:"+id, e.get(id).UserID)
	}
	if lister, ok := store.As[store.Lister](e.st); ok {
		require.ElementsMatch(e, odd, ids(e.collect(lister.List(e.ctx))))
	}
	for i, id := range odd {
		e.destroy(id, true)
		e.requireGone(id)
		for _, other := range slices.Delete(slices.Clone(odd), 0, i+1) {
			e.get(other)
		}
	}
}

func endedContext(e *env) {
	rec := e.create()
	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(e.ctx)
	cancel(cause)
	_, err := e.st.Get(ctx, rec.ID)
	require.ErrorIs(e, err, cause, "Get")

	fresh := e.newRecord()
	_, err = e.st.Set(ctx, fresh)
	require.ErrorIs(e, err, cause, "Set")
	e.requireGone(fresh.ID)

	_, err = e.st.Destroy(ctx, rec.ID)
	require.ErrorIs(e, err, cause, "Destroy")
	e.requireStored(rec)

	late, stop := context.WithDeadline(e.ctx, e.base.Add(-time.Second))
	defer stop()
	_, err = e.st.Get(late, rec.ID)
	require.ErrorIs(e, err, context.DeadlineExceeded)
}

func keepSeen(e *env) {
	rec := e.create()
	ahead := rec
	ahead.Seen, ahead.Expires = e.base.Add(time.Minute), e.base.Add(61*time.Minute)
	ahead = e.set(ahead)

	late := ahead // a writer that has not read the later Seen
	late.Seen, late.Expires = e.base, e.base.Add(2*time.Hour)
	revision := e.set(late).Revision
	late.Seen, late.Expires, late.Revision = e.base.Add(time.Minute), e.base.Add(2*time.Hour+time.Minute), revision
	e.requireStored(late)

	bound := late
	bound.Seen, bound.Expires, bound.Lifetime = e.base, e.base.Add(time.Hour), time.Hour
	revision = e.set(bound).Revision
	bound.Seen, bound.Revision = e.base.Add(time.Minute), revision // Expires is already at the end of the lifetime
	e.requireStored(bound)

	renewed := bound // by a login, from which the lifetime counts
	renewed.Seen, renewed.LoggedIn, renewed.Expires = e.base, e.base.Add(30*time.Second), e.base.Add(time.Hour)
	revision = e.set(renewed).Revision
	renewed.Seen, renewed.Expires = e.base.Add(time.Minute), e.base.Add(time.Hour+30*time.Second)
	renewed.Revision = revision
	e.requireStored(renewed)
}

// scribble overwrites a record's data, as a careless caller might.
func scribble(data []byte) {
	for i := range data {
		data[i] = '!'
	}
}
