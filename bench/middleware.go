package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// planted is what a session holds before it is measured, besides two strings.
const planted = 41

var answer = []byte("ok")

func middlewareGroups() []group {
	ours := func(op func(*site, *bridge.Bridge) (*subject, error)) side {
		return side{"ours", func() (*subject, error) {
			s, b, err := openOurs()
			if err != nil {
				return nil, err
			}
			return op(s, b)
		}}
	}
	read := ours(func(s *site, _ *bridge.Bridge) (*subject, error) { return s.reading() })
	write := ours(func(s *site, _ *bridge.Bridge) (*subject, error) { return s.writing() })
	create := ours(func(s *site, _ *bridge.Bridge) (*subject, error) { return s.creating() })
	peer := func(name string, open func() (*site, error), op func(*site) (*subject, error)) side {
		return side{name, func() (*subject, error) {
			s, err := open()
			if err != nil {
				return nil, err
			}
			return op(s)
		}}
	}
	one := func(t target) []row { return []row{{"", nsPerOp, t}} }
	return []group{
		{
			name: "middleware/untouched", ours: ours(untouched), peer: side{"bare", bare},
			rows: one(every(extraUnder(1300*time.Nanosecond), allocsAtMost(5))),
			rivals: []rival{{
				peer: side{"two HMACs", twoHMACs},
				rows: []row{{"the two HMACs in it", nsPerOp, target{}}},
			}},
		},
		{
			name: "middleware/read", ours: read, peer: peer("scs", openSCS, (*site).reading),
			rows: one(every(timesBetter(5), allocsAtMost(7))),
		},
		{
			name: "middleware/write", ours: write, peer: peer("scs", openSCS, (*site).writing),
			rows: one(every(timesBetter(5), allocsAtMost(12))),
		},
		{
			name: "middleware/WithSession", ours: ours(incrementing), peer: peer("scs", openSCS, (*site).writing),
			rows: one(timesBetter(4.5)),
		},
		{
			name: "middleware/create", ours: create, peer: peer("scs", openSCS, (*site).creating),
			rows: one(every(under(7*time.Microsecond), allocsAtMost(45))),
		},
		{
			name: "middleware/read, CookieStore",
			ours: read,
			peer: peer("CookieStore", openCookieStore, (*site).reading),
			rows: one(timesBetter(1)),
		},
		{
			name: "middleware/write, CookieStore",
			ours: write,
			peer: peer("CookieStore", openCookieStore, (*site).writing),
			rows: one(timesBetter(1)),
		},
		{
			name: "middleware/read, FilesystemStore",
			ours: read,
			peer: peer("FilesystemStore", openFilesystemStore, (*site).reading),
			rows: one(timesBetter(1)),
		},
		{
			name: "middleware/write, FilesystemStore",
			ours: write,
			peer: peer("FilesystemStore", openFilesystemStore, (*site).writing),
			rows: one(timesBetter(1)),
		},
	}
}

// counting is a handler that counts its calls.
func counting(calls *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*calls++
		_, _ = w.Write(answer)
	})
}

// seeing is a handler that counts how often it reads what a session was planted with.
func (s *site) seeing(seen *int) http.Handler {
	return s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := s.get(r, "n"); err == nil && n == planted {
			*seen++
		}
		_, _ = w.Write(answer)
	}))
}

// setting is a handler that stores what next returns.
func (s *site) setting(next func() int) http.Handler {
	return s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.set(w, r, "n", next()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
	}))
}

// bare is a handler without sessions.
func bare() (*subject, error) {
	v, calls := newVisitor(), 0
	return &subject{
		run:   repeat(v, counting(&calls)),
		check: func(n int) error { return same("handled requests", calls, n) },
		close: func() error { return nil },
	}, nil
}

// twoHMACs computes what the signatures of the two cookies take at the least: HMAC-SHA256 of a name,
// a date and a value, each.
func twoHMACs() (*subject, error) {
	session, client := bytes.Repeat([]byte("s"), 70), bytes.Repeat([]byte("c"), 60)
	mac, sum, done := hmac.New(sha256.New, signingKey), make([]byte, 0, sha256.Size), 0
	return &subject{
		run: func(n int) error {
			for range n {
				for _, text := range [][]byte{session, client} {
					mac.Reset()
					mac.Write(text)
					sum = mac.Sum(sum[:0])
				}
				done++
			}
			return nil
		},
		check: func(n int) error { return same("pairs of HMACs", done, n) },
		close: func() error { return nil },
	}, nil
}

// untouched is a handler that doesn't ask for the session, although both cookies come with the
// request.
func untouched(s *site, b *bridge.Bridge) (*subject, error) {
	v, err := s.plant()
	if err != nil {
		return nil, err
	}
	calls := 0
	return &subject{
		run: repeat(v, s.wrap(counting(&calls))),
		check: func(n int) error {
			if len(v.w.header) > 0 {
				return fmt.Errorf("the response has headers: %v", v.w.header)
			}
			err := s.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) error {
				client, _ := bridge.ClientIDFrom(r.Context())
				found, err := b.Session(r)
				if err == nil && (found.IsNew() || found.ClientID() != client) {
					err = errors.New("the cookies open no session")
				}
				return err
			})
			return errors.Join(err, same("handled requests", calls, n))
		},
		close: s.close,
	}, nil
}

// reading reads one key at each request.
func (s *site) reading() (*subject, error) {
	v, err := s.plant()
	if err != nil {
		return nil, err
	}
	seen := 0
	h := s.seeing(&seen)
	return &subject{
		run: repeat(v, h),
		check: func(n int) error {
			if err := same("values read", seen, n); err != nil {
				return err
			}
			// It is the stored value that is read: once it is another, it isn't seen any more.
			if err := s.visitOnce(
				v,
				func(w http.ResponseWriter, r *http.Request) error { return s.set(w, r, "n", planted+1) },
			); err != nil {
				return err
			}
			return errors.Join(v.visit(h), same("values read after a change", seen, n))
		},
		close: s.close,
	}, nil
}

// visitOnce has do done in one request of the visitor's, which keeps the cookies that it gets.
func (s *site) visitOnce(v *visitor, do func(http.ResponseWriter, *http.Request) error) error {
	err := v.visit(s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
	})))
	v.keep()
	return err
}

// writing changes one key at each request, to how many there have been.
func (s *site) writing() (*subject, error) {
	v, err := s.plant()
	if err != nil {
		return nil, err
	}
	calls := 0
	h := s.setting(func() int { calls++; return calls })
	return &subject{run: repeat(v, h), check: s.holds(v, 0), close: s.close}, nil
}

// creating begins a session at each request, which comes without cookies.
func (s *site) creating() (*subject, error) {
	v, calls := newVisitor(), 0
	h := s.setting(func() int { calls++; return calls })
	check := func(n int) error { return errors.Join(same("handled requests", calls, n), s.holds(v, 0)(n)) }
	return &subject{run: repeat(v, h), check: check, close: s.close}, nil
}

// incrementing adds one to a key in a WithSession at each request.
func incrementing(s *site, b *bridge.Bridge) (*subject, error) {
	v, err := s.plant()
	if err != nil {
		return nil, err
	}
	h := s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.WithSession(r, increment, nil); err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		_, _ = w.Write(answer)
	}))
	return &subject{run: repeat(v, h), check: s.holds(v, planted), close: s.close}, nil
}

func increment(_ context.Context, s *bridge.Session) error {
	n, ok := s.Get("n")
	count, isInt := n.(int64)
	if !ok || !isInt {
		return errAbsent
	}
	s.Set("n", count+1)
	return nil
}

// plant makes a session of three small keys and returns the browser that has its cookies.
func (s *site) plant() (*visitor, error) {
	v := newVisitor()
	return v, s.setAll(v, map[string]any{"n": planted, "theme": "dark", "lang": "en"})
}

// setAll gives the visitor's session more values.
func (s *site) setAll(v *visitor, values map[string]any) error {
	return s.visitOnce(v, func(w http.ResponseWriter, r *http.Request) error {
		for key, value := range values {
			if err := s.set(w, r, key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// holds returns a check that the visitor's session has counted n operations, beginning at from.
func (s *site) holds(v *visitor, from int) func(n int) error {
	return func(n int) error {
		v.keep() // for libraries that keep the session in the cookie
		stored := 0
		err := s.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) (err error) {
			stored, err = s.get(r, "n")
			return err
		})
		return errors.Join(err, same("stored changes", stored-from, n))
	}
}

// repeat returns a run that sends n requests.
func repeat(v *visitor, h http.Handler) func(n int) error {
	return func(n int) error {
		for range n {
			if err := v.visit(h); err != nil {
				return err
			}
		}
		return nil
	}
}

func same(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%s: %d, there should be %d", what, got, want)
	}
	return nil
}
