package grpcsession

import (
	"context"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc"
)

// stream is a grpc.ServerStream with a session, or without one: then g is nil.
type stream struct {
	grpc.ServerStream
	ctx    context.Context
	cancel context.CancelCauseFunc
	g      *Sessions
}

func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream. The session may have ended without a notification.
func (s *stream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil || s.g == nil {
		return err
	}
	_, err := s.g.b.Open(s.ctx, callOf(s.ctx).credentials)
	return err
}

// streams are the open streams by session.
type streams struct {
	off func()

	mu sync.Mutex
	of map[string]map[*stream]struct{}
}

func (s *streams) add(sessionID string, st *stream) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[string]map[*stream]struct{})
	}
	if s.of[sessionID] == nil {
		s.of[sessionID] = make(map[*stream]struct{})
	}
	s.of[sessionID][st] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.of[sessionID], st); len(s.of[sessionID]) == 0 {
			delete(s.of, sessionID)
		}
	}
}

// all returns the streams of a session.
func (s *streams) all(sessionID string) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.of[sessionID]))
}

// cut ends the streams of a session.
func (s *streams) cut(sessionID string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.of[sessionID] {
		st.cancel(cause)
	}
}

// cutAll ends every stream: events have been missed. The clients come back.
func (s *streams) cutAll(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, some := range s.of {
		for st := range some {
			st.cancel(cause)
		}
	}
}
