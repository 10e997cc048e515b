package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/store"
)

// farmVariable makes this test binary a node of the farm, on the server that it names. farmBroken
// names the fault of its store, and farmPatience is how long the server may take to answer.
const (
	farmVariable = "SESSIONBRIDGE_FARM"
	farmBroken   = "SESSIONBRIDGE_FARM_BROKEN"
	farmPatience = "SESSIONBRIDGE_FARM_PATIENCE"
)

// farmTimeout is how long the server may take to answer a node whose connections stall.
const farmTimeout = time.Second

// farmOptions remove the influence of time: on a slow machine RotateGrace would end at any moment.
// A session keeps its counter when its user changes.
func farmOptions() *bridge.Options {
	return &bridge.Options{Keys: [][]byte{make([]byte, 32)}, RotateGrace: time.Hour, StoreTimeout: await.Limit, KeepValuesAtLogin: true}
}

// runFarmNode serves until in ends. It writes its address first and its Stats last, and returns the
// exit status.
func runFarmNode(server string, in io.Reader, out io.Writer) int {
	if err := serveFarmNode(server, in, json.NewEncoder(out)); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	return 0
}

func serveFarmNode(server string, in io.Reader, out *json.Encoder) error {
	ctx := context.Background()
	timeout, err := time.ParseDuration(os.Getenv(farmPatience))
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, await.Limit)
	defer cancel()
	st, err := openFarmStore(opening, server, timeout)
	for err != nil && opening.Err() == nil { // on a busy machine the server may need longer for an answer
		<-time.After(10 * time.Millisecond)
		st, err = openFarmStore(opening, server, timeout)
	}
	if err != nil {
		return err
	}
	b, err := bridge.New(breakStore(st, os.Getenv(farmBroken)), farmOptions())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	site := &farmSite{b}
	mux.HandleFunc("/", site.page)
	// An actor answers pings only while it waits for an answer, which may be longer ago than a heartbeat.
	mux.Handle("/socket", b.WebSocket(site.talk, &bridge.ConnOptions{Heartbeat: bridge.Off}))
	web := &http.Server{Handler: b.Handler(mux), ReadHeaderTimeout: await.Limit}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	if err := out.Encode(listener.Addr().String()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in)

	ctx, cancel = context.WithTimeout(ctx, await.Limit)
	defer cancel()
	err = errors.Join(web.Shutdown(ctx), b.Shutdown(ctx), st.Close())
	if serve := <-served; !errors.Is(serve, http.ErrServerClosed) {
		err = errors.Join(err, serve)
	}
	return errors.Join(err, goleak.Find(), out.Encode(b.Stats()))
}

// farmSite is the application on a node.
type farmSite struct{ b *bridge.Bridge }

// farmView is the answer of an operation.
type farmView struct {
	Word string // "ok", or what farmWord says
	Err  string // the error of the operation
	ID   string
	farmValues
}

var (
	farmA, farmB   = bridge.NewKey[int]("a"), bridge.NewKey[int]("b")
	errFarmMissing = errors.New("there is no session")
)

// farmWord names the outcomes that the judge knows.
func farmWord(err error) string {
	for word, target := range map[string]error{
		"missing":     errFarmMissing,
		"no session":  bridge.ErrSessionMissing,
		"gone":        bridge.ErrSessionGone,
		"rotated":     bridge.ErrTokenRotated,
		"conflict":    bridge.ErrConflict,
		"unavailable": bridge.ErrStoreUnavailable,
		"silent":      bridge.ErrNodeSilent,
	} {
		if errors.Is(err, target) {
			return word
		}
	}
	return "unexpected: " + err.Error()
}

func farmViewOf(s *bridge.Session) farmView {
	v := farmView{Word: "ok", ID: s.ID()}
	v.N, _ = endtoend.Count.Get(s)
	v.A, _ = farmA.Get(s)
	v.B, _ = farmB.Get(s)
	v.User = s.UserID()
	return v
}

func (site *farmSite) page(w http.ResponseWriter, r *http.Request) {
	v, err := site.serve(r)
	if err != nil {
		v = farmView{Word: farmWord(err), Err: err.Error()}
		w.WriteHeader(bridge.HTTPStatus(err))
	}
	_ = json.NewEncoder(w).Encode(v)
}

// serve does one operation over HTTP. All but one require a session.
func (site *farmSite) serve(r *http.Request) (v farmView, err error) {
	do := r.URL.Query().Get("do")
	switch do {
	case "ping":
		return farmView{Word: "ok"}, site.b.Ping(r.Context())
	case "create": // or use an existing one
		return bridge.WithSession(r.Context(), site.b.For(r), site.increment, nil)
	case "increment":
		return bridge.WithSession(r.Context(), site.b.For(r), site.increment, bridge.Missing[farmView](errFarmMissing))
	}
	if ask := farmQuestions[do]; ask != nil {
		v.Word = "ok"
		v.N, err = ask(r.Context(), site.b, r.URL.Query().Get("of"), r.URL.Query().Get("text"))
		return v, err
	}
	s, err := site.b.Session(r)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return v, err
	}
	if s.IsNew() {
		return v, errFarmMissing
	}
	v = farmViewOf(s)
	switch do {
	case "write":
		for name, key := range map[string]bridge.Key[int]{"a": farmA, "b": farmB} {
			if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil && n != 0 {
				key.Set(s, n)
			}
		}
	case "login":
		err = s.Login(r.URL.Query().Get("user"))
	case "destroy":
		s.Destroy()
	case "expire":
		s.SetIdleTimeout(killIdle)
	}
	return v, err
}

func (site *farmSite) increment(ctx context.Context, s *bridge.Session) (farmView, error) {
	_, err := endtoend.Increment(ctx, s)
	return farmViewOf(s), err
}

// talk is the node's end of a socket.
func (site *farmSite) talk(ctx context.Context, c *bridge.Conn) error {
	if err := c.WriteJSON(ctx, farmView{Word: "hello", ID: c.SessionID()}); err != nil {
		return err
	}
	for {
		kind, do, err := c.Read(ctx)
		if err != nil {
			return err
		}
		v, err := bridge.WithSession(ctx, c, func(ctx context.Context, s *bridge.Session) (farmView, error) {
			switch string(do) {
			case "increment":
				return site.increment(ctx, s)
			case "destroy":
				s.Destroy()
			}
			return farmViewOf(s), nil
		}, nil)
		if err != nil {
			v = farmView{Word: farmWord(err), Err: err.Error()}
		}
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, kind, text); err != nil {
			return err
		}
	}
}

// breakStore returns st, or one with a fault.
func breakStore(st store.Store, how string) store.Store {
	switch how {
	case "no compare-and-set":
		return bare{blindStore{st}}
	case "no destroy":
		return bare{undeadStore{st}}
	}
	return st
}

// bare is a store without capabilities: a node of the store would bypass its faults.
type bare struct{ store.Store }

// blindStore overwrites any revision.
type blindStore struct{ store.Store }

func (b blindStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	for {
		rev, err := b.Store.Set(ctx, rec)
		if !errors.Is(err, store.ErrConflict) || rec.Revision == 0 {
			return rev, err
		}
		now, err := b.Get(ctx, rec.ID)
		if err != nil {
			return 0, err
		}
		rec.Revision = now.Revision
	}
}

// undeadStore reports that it has ended a session, but hasn't.
type undeadStore struct{ store.Store }

func (undeadStore) Destroy(context.Context, string) (bool, error) { return true, nil }
