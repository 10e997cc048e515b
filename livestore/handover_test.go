package livestore_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// TestSweptDataIsTheCallers: a sweep returns the removed data without a copy, unless a reader is
// still copying it.
func TestSweptDataIsTheCallers(t *testing.T) {
	const total = 4000
	st, recs := fill(t, total)
	ctx := t.Context()
	want := recs[0].Data
	damaged := func(rec store.Record) error {
		if bytes.Equal(rec.Data, want) {
			return nil
		}
		return fmt.Errorf("changed by another caller: %.20s", rec.Data)
	}
	done := make(chan struct{})
	failures := make(chan error, 3)
	var readers sync.WaitGroup
	read := func(once func() error) {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := once(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	i := 0
	read(func() error {
		i++
		rec, err := st.Get(ctx, recs[i%total].ID)
		if err != nil {
			return nil // swept
		}
		return damaged(rec)
	})
	read(func() error {
		for rec, err := range st.List(ctx) {
			if err != nil {
				return err
			}
			if err := damaged(rec); err != nil {
				return err
			}
		}
		return nil
	})
	for swept := 0; swept < total; {
		gone, err := st.Sweep(ctx, start.Add(48*time.Hour), 50)
		require.NoError(t, err)
		require.NotEmpty(t, gone)
		for _, rec := range gone {
			require.NoError(t, damaged(rec))
			clear(rec.Data)
			require.Equal(t, len(rec.Data), cap(rec.Data), "an append must not write into other data")
		}
		swept += len(gone)
	}
	close(done)
	readers.Wait()
	close(failures)
	require.NoError(t, <-failures)
}

// TestManySessionsOfOneUser: a user's sessions are found in order while their number grows from a
// few to thousands and shrinks again.
func TestManySessionsOfOneUser(t *testing.T) {
	st, recs := fill(t, 1)
	ctx := t.Context()
	create := func(n int) store.Record {
		rec := sample(n)
		rec.UserID = "ada"
		var err error
		rec.Revision, err = st.Set(ctx, rec)
		require.NoError(t, err)
		return rec
	}
	var here []store.Record
	check := func() {
		t.Helper()
		var got []string
		for rec, err := range st.ByUser(ctx, "ada") {
			require.NoError(t, err)
			got = append(got, rec.ID)
		}
		require.Len(t, got, len(here))
		for i, rec := range here {
			require.Equal(t, rec.ID, got[i])
		}
	}
	for n := 1; n <= 3000; n++ {
		here = append(here, create(n))
		if n < 20 || n%1000 == 0 {
			check()
		}
	}
	for len(here) > 0 {
		at := len(here) * 2 / 3 // removes the first entry, which represents the group, among the last
		if len(here)%2 == 0 {
			at = 0
		}
		existed, err := st.Destroy(ctx, here[at].ID)
		require.NoError(t, err)
		require.True(t, existed)
		here = append(here[:at], here[at+1:]...)
		if len(here) < 20 || len(here)%1000 == 0 {
			check()
		}
	}
	_, err := st.Get(ctx, recs[0].ID)
	require.NoError(t, err)
}
