package bridge

import (
	"context"
	"unicode/utf8"
)

// lastWords is what the links of a session that has ended are told before they are closed, as soon as the application has said it.
type lastWords struct {
	said chan struct{} // closed when message is there
	m    *message      // nil: none
}

// lastWords asks the application, in a goroutine of its own: the end of a session, which is reported under its commit lock, waits for no callback, and one may call the
// Bridge.
func (b *Bridge) lastWords(links []*Link, end SessionDestroy) *lastWords {
	if b.opts.LastMessage == nil || len(links) == 0 {
		return nil
	}
	last := &lastWords{said: make(chan struct{})}
	b.work.Go(func() {
		defer close(last.said) // also if it panics
		if data := b.opts.LastMessage(end); data != nil {
			last.m = &message{data: data, binary: !utf8.Valid(data)}
		}
	})
	return last
}

// wait returns the message; nil when there is none, or not in time.
func (last *lastWords) wait(ctx context.Context) *message {
	select {
	case <-last.said:
		return last.m
	case <-ctx.Done():
		return nil
	}
}
