package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

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
		v, err := fromGorillaJSON(raw)
		if err != nil {
			return gs, fmt.Errorf("bridge: session key %q: %w", key, err)
		}
		gs.Values[fromGorillaKey(key)] = v
		read[key] = raw
	}
	return gs, g.remember(r, gs, read)
}

// remember keeps what a session was when it was read, to tell its changes by; recall returns it.
func (g gorillaStore) remember(r *http.Request, gs *sessions.Session, read map[string][]byte) error {
	rq, err := g.b.requestOf(r.Context())
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
	rq, err := g.b.requestOf(r.Context())
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
		name = toGorillaKey(name)
		raw, err := toGorillaJSON(v)
		if err != nil {
			return fmt.Errorf("bridge: session key %q: %w", name, err)
		}
		now[name] = raw
	}
	for name, raw := range now {
		if was, ok := read[name]; !ok || !sameGorilla(raw, was) {
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

// gorilla/sessions keeps its flashes under the key that our own have. Both can be in use while an application moves over.
const (
	gorillaFlashKey = "_flash"
	storedFlashKey  = "_gorilla_flash"
)

func toGorillaKey(key string) string {
	if key == gorillaFlashKey {
		return storedFlashKey
	}
	return key
}

func fromGorillaKey(key string) string {
	if key == storedFlashKey {
		return gorillaFlashKey
	}
	return key
}

// gobValue is how a value is stored that JSON wouldn't keep as it is.
type gobValue struct {
	Gob string `json:"$gob"`
}

const gobPrefix = `{"$gob":`

func toGorillaJSON(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil, bool, string, int:
		return json.Marshal(v)
	case float64:
		if v != float64(int64(v)) { // else it would come back as an int
			return json.Marshal(v)
		}
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(gobValue{base64.StdEncoding.EncodeToString(buf.Bytes())})
}

// sameGorilla reports whether two stored values are equal. Gob writes a map in another order each time.
func sameGorilla(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if prefix := []byte(gobPrefix); !bytes.HasPrefix(a, prefix) || !bytes.HasPrefix(b, prefix) {
		return false
	}
	v, errV := fromGorillaJSON(a)
	w, errW := fromGorillaJSON(b)
	return errV == nil && errW == nil && reflect.DeepEqual(v, w)
}

func fromGorillaJSON(raw []byte) (any, error) {
	var wrapped gobValue
	if bytes.HasPrefix(raw, []byte(gobPrefix)) && json.Unmarshal(raw, &wrapped) == nil {
		data, err := base64.StdEncoding.DecodeString(wrapped.Gob)
		if err != nil {
			return nil, err
		}
		var v any
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
			return nil, err
		}
		return v, nil
	}
	v, err := gateway.DecodeValue(raw)
	if i, ok := v.(int64); ok && int64(int(i)) == i {
		return int(i), err
	}
	return v, err
}
