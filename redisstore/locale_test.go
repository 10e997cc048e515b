package redisstore_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestLocaleOfTheServer: in scripts, Redis compares text in the order of its locale. The index by
// client has every session nevertheless.
func TestLocaleOfTheServer(t *testing.T) {
	const locale = "en_US.ISO-8859-1"
	dir := t.TempDir()
	program := programs.Find(t, "localedef")
	localedef := exec.CommandContext(t.Context(), program, "-i", "en_US", "-f", "ISO-8859-1", filepath.Join(dir, locale))
	if out, err := localedef.CombinedOutput(); err != nil {
		programs.Missing(t, fmt.Sprintf("the sources of locales are missing, `make deps` installs them: %v: %s", err, out))
	}
	t.Setenv("LOCPATH", dir)
	t.Setenv("LC_ALL", locale)
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	for i := range 300 {
		client := uuid.NewString()
		rec := create(t, st, func(rec *store.Record) {
			rec.ClientID = client
			rec.LoggedIn = rec.Created.Add(time.Duration(i) * 12345 * time.Millisecond)
		})
		rec.LoggedIn = rec.LoggedIn.Add(time.Duration(i) * 23456 * time.Millisecond)
		_, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		newest, err := st.NewestByClient(t.Context(), client, 1)
		require.NoError(t, err)
		require.Len(t, newest, 1, "logged in %d after %d", rec.LoggedIn.UnixMilli(), rec.Created.UnixMilli())
	}
}
