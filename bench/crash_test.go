package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
)

func TestTheChildIsKilledWithItsChangesInTheLog(t *testing.T) {
	const sessions = 30
	c := &contestant{name: "ours", make: func(dir string) engine { return newOurs(dir, filestore.Options{}) }}
	require.NoError(t, c.ready(t.TempDir(), sessions, t.Output()))
	require.NoError(t, c.engine.close())
	o := c.engine.(*oursOnDisk)
	require.NoError(t, crash(o.path, 20, 1<<20))

	logged := &recovered{}
	o.opts.Logger = logged.logger()
	require.NoError(t, o.open())
	require.EqualValues(t, 20, logged.changes)
	for n := range sessions {
		want := uint64(1)
		if n < 20 {
			want = 2
		}
		rec, err := o.get(n)
		require.NoError(t, err)
		require.Equal(t, want, rec.Writes)
	}
	require.NoError(t, o.close())
}

func TestAChildThatFailsIsReported(t *testing.T) {
	require.ErrorContains(t, crash(filepath.Join(t.TempDir(), "none.db"), 1, 0), "the child to be killed")
}
