package apiclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// comeBack is how long Events waits before it connects again.
const comeBack = time.Second

// Events calls fn with each event of the app, until ctx ends or fn returns an error. If the
// connection breaks it connects again and goes on where it was; the API sends an event "missed" if
// it can't. It returns the errors of the first connection, and answers of the API that are no
// success later.
func (c *Client) Events(ctx context.Context, query url.Values, fn func(json.RawMessage) error) error {
	last := ""
	for connected := false; ; {
		header := http.Header{}
		if last != "" {
			header.Set("Last-Event-ID", last)
		}
		request := Request{Method: http.MethodGet, Path: "/events", Query: query, Header: header}
		res, err := c.send(ctx, request, "text/event-stream")
		if err == nil {
			connected = true
			err = readEvents(res.Body, &last, fn)
			_ = res.Body.Close()
		}
		switch answer := (*Error)(nil); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !connected, errors.As(err, &answer) && answer.Status < 500:
			return err
		case err != nil && !errors.Is(err, ErrUnavailable) && answer == nil:
			return err // fn's
		}
		select {
		case <-time.After(comeBack):
		case <-ctx.Done():
		}
	}
}

// maxEvent is the longest line of an event: a list of the keys of a session.
const maxEvent = 1 << 20

// readEvents reads server-sent events until the stream ends, which is no error.
func readEvents(body io.Reader, last *string, fn func(json.RawMessage) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			*last = id
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := fn(json.RawMessage(data)); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return err // it would come again and again
	}
	return nil
}
