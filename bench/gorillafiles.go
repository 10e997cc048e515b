package main

import (
	"net/http"
	"os"
	"path/filepath"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// gorillaFiles is gorilla's FilesystemStore, a file for each session. It syncs nothing: it is here
// for scale.
type gorillaFiles struct {
	dir     string
	store   *sessions.FilesystemStore
	request *http.Request
}

const gorillaCookie = "session"

func newGorillaFiles(dir string) engine {
	return &gorillaFiles{
		dir:     dir,
		store:   sessions.NewFilesystemStore(dir, signingKey),
		request: &http.Request{Header: http.Header{}},
	}
}

// fill writes the files itself, as the store would, in a tenth of the time.
func (g *gorillaFiles) fill(n int, progress func(int)) error {
	text, err := securecookie.EncodeMulti(gorillaCookie, gorillaValues(1), g.store.Codecs...)
	if err != nil {
		return err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(g.dir, "session_"+idOf(i)), []byte(text), 0o600); err != nil {
			return err
		}
		progress(i + 1)
	}
	return nil
}

func gorillaValues(count uint64) map[any]any {
	return map[any]any{"data": sessionData, "writes": int(count)} //nolint:gosec // few
}

func (g *gorillaFiles) open() error { return nil }

func (g *gorillaFiles) set(n int, count uint64) error {
	s := sessions.NewSession(g.store, gorillaCookie)
	s.ID, s.Options, s.Values = idOf(n), g.store.Options, gorillaValues(count)
	return g.store.Save(g.request, newRecorder(), s)
}

// verify loads some sessions as requests with their cookies would.
func (g *gorillaFiles) verify(counts []uint64) error {
	for n := range min(100, len(counts)) {
		cookie, err := securecookie.EncodeMulti(gorillaCookie, idOf(n), g.store.Codecs...)
		if err != nil {
			return err
		}
		r := &http.Request{Header: http.Header{"Cookie": {gorillaCookie + "=" + cookie}}}
		s, err := g.store.New(r, gorillaCookie)
		if err != nil {
			return err
		}
		writes, _ := s.Values["writes"].(int)
		if err := same("times that a session was stored", writes, int(counts[n])); err != nil { //nolint:gosec // few
			return err
		}
	}
	return nil
}

func (g *gorillaFiles) close() error { return nil }
