package bridge

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Gorilla returns a sessions.Store for code that is written against gorilla/sessions. It works on the same session as everything else, so the code
// around it can move over handler by handler. All names are one session; the cookie is this Bridge's, and Options of the session are ignored but
// for a negative MaxAge at Save, which destroys it.
//
// Values that JSON keeps as they are (string, bool, float64, and int) are stored as such, and an integer is read as int, as such code expects. Values of other
// types are stored as gob, so their types need gob.Register, as with gorilla's own stores. A key must be a string. As gorilla's stores do, Get returns a session also with an error: an empty one, whose Save fails.
func (b *Bridge) Gorilla() sessions.Store { return gorillaStore{b} }

type gorillaStore struct{ b *Bridge }

// Get returns the request's session, which sessions.GetRegistry keeps for the request.
func (g gorillaStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(g, name)
}

// New returns the session as it is now.
func (g gorillaStore) New(r *http.Request, name string) (*sessions.Session, error) {
	gs := sessions.NewSession(g, name)
	gs.Options = &sessions.Options{Path: g.b.opts.Path}
	gs.IsNew = true
	s, err := g.b.Session(r)
	if err != nil {
		return gs, err
	}
	gs.ID, gs.IsNew = s.ID(), s.IsNew()
	read := make(map[string][]byte)
	for key := range s.Keys() {
		raw := s.raw(key)
		name, isGob := fromGorillaKey(key)
		v, err := fromGorillaJSON(raw, isGob)
		if err != nil {
			return gs, fmt.Errorf("bridge: session key %q: %w", key, err)
		}
		gs.Values[name] = v
		read[key] = raw
	}
	return gs, g.remember(r, gs, read)
}

// remember keeps what a session was when it was read, to tell its changes by; recall returns it.
func (g gorillaStore) remember(r *http.Request, gs *sessions.Session, read map[string][]byte) error {
	rq, err := g.b.requestFor(r)
	if err != nil {
		return err
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.gorilla == nil {
		rq.gorilla = make(map[*sessions.Session]map[string][]byte)
	}
	rq.gorilla[gs] = read
	return nil
}

func (g gorillaStore) recall(r *http.Request, gs *sessions.Session) map[string][]byte {
	rq, err := g.b.requestFor(r)
	if err != nil {
		return nil
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.gorilla[gs]
}

// Save puts what has changed since it was read into the request's session, and stores it. What others have changed meanwhile stays.
func (g gorillaStore) Save(r *http.Request, _ http.ResponseWriter, gs *sessions.Session) error {
	s, err := g.b.Session(r)
	if err != nil {
		return err
	}
	if gs.Options != nil && gs.Options.MaxAge < 0 {
		s.Destroy()
		return s.commit(r.Context())
	}
	read := g.recall(r, gs)
	now := make(map[string][]byte, len(gs.Values))
	for key, v := range gs.Values {
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("bridge: session key %v: a key must be a string, not %T", key, key)
		}
		raw, isGob, err := toGorillaJSON(v)
		if err != nil {
			return fmt.Errorf("bridge: session key %q: %w", name, err)
		}
		now[toGorillaKey(name, isGob)] = raw
	}
	for name, raw := range now {
		if was, ok := read[name]; !ok || !sameGorilla(name, raw, was) {
			s.Set(name, json.RawMessage(raw))
		}
	}
	for name := range read {
		if _, ok := now[name]; !ok {
			s.Delete(name)
		}
	}
	if err := s.commit(r.Context()); err != nil {
		return err
	}
	return g.remember(r, gs, now)
}

// How keys are stored that can't be stored as they are. gorilla/sessions keeps its flashes under the key that our own have, and
// both can be in use while an application moves over. A value that is gob says so by its key and not by its form, or whoever
// chooses a value could have one decoded.
const (
	gorillaFlashKey = "_flash"
	storedFlashKey  = "_gorilla_flash"
	gobKeyPrefix    = "_gorilla_gob:"
)

func toGorillaKey(key string, isGob bool) string {
	if key == gorillaFlashKey {
		key = storedFlashKey
	}
	if isGob {
		key = gobKeyPrefix + key
	}
	return key
}

func fromGorillaKey(key string) (name string, isGob bool) {
	name, isGob = strings.CutPrefix(key, gobKeyPrefix)
	if name == storedFlashKey {
		name = gorillaFlashKey
	}
	return name, isGob
}

// toGorillaJSON returns what is stored of v: JSON, or gob in a JSON string where JSON wouldn't keep v as it is.
func toGorillaJSON(v any) (raw []byte, isGob bool, err error) {
	plain := false
	switch v := v.(type) {
	case nil, bool, int:
		plain = true
	case string:
		plain = utf8.ValidString(v)
	case float64:
		plain = v != float64(int64(v)) // else it would come back as an int
	}
	if plain {
		raw, err = json.Marshal(v)
		return raw, false, err
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
		return nil, true, err
	}
	raw, err = json.Marshal(buf.Bytes()) // as base64
	return raw, true, err
}

// sameGorilla reports whether two stored values are equal. Gob writes a map in another order each time.
func sameGorilla(storedKey string, a, b []byte) bool {
	_, isGob := fromGorillaKey(storedKey)
	if bytes.Equal(a, b) || !isGob {
		return bytes.Equal(a, b)
	}
	v, errV := fromGorillaJSON(a, true)
	w, errW := fromGorillaJSON(b, true)
	return errV == nil && errW == nil && reflect.DeepEqual(v, w)
}

func fromGorillaJSON(raw []byte, isGob bool) (any, error) {
	if !isGob {
		v, err := gateway.DecodeValue(raw)
		if i, ok := v.(int64); ok && int64(int(i)) == i {
			return int(i), err
		}
		return v, err
	}
	var data []byte // base64 in JSON
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, err
	}
	var v any
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		return nil, err
	}
	return v, nil
}
