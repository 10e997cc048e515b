package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// call is one request to the API.
type call struct {
	api   *api
	w     http.ResponseWriter
	r     *http.Request
	route *route         // nil: none
	key   *heldKey       // nil: without keys
	app   string         // its name
	b     *bridge.Bridge // of the app

	params map[string]string // in the URL

	status   int    // of the answer, once it has begun
	session  string // that the call is about, for the log
	affected int    // how many sessions or connections it has ended, for the log
	counted  bool   // affected is set
	admitted bool   // the caller may make it
}

func (c *call) ctx() context.Context { return c.r.Context() }

func (c *call) writeHeader(status int) {
	c.status = status
	c.w.WriteHeader(status)
}

// reply answers with a value as JSON.
func (c *call) reply(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.writeHeader(status)
	_, _ = c.w.Write(append(body, '\n'))
	return nil
}

// noContent answers with 204.
func (c *call) noContent() error {
	c.writeHeader(http.StatusNoContent)
	return nil
}

// count notes how many sessions or connections the call has ended, for the log.
func (c *call) count(n int) int {
	c.affected, c.counted = n, true
	return n
}

// body reads the JSON object of the request's body, which may be absent if optional is true.
func (c *call) body(optional bool, types ...string) (*strictjson.Object, error) {
	text, err := c.read(optional, types...)
	if err != nil {
		return nil, err
	}
	return strictjson.Parse(text, optional)
}

// noBody returns an error if the request has a body that isn't empty.
func (c *call) noBody() error {
	o, err := c.body(true)
	if err != nil {
		return err
	}
	return o.Err()
}

// read reads the body, whose media type is application/json or one of the types.
func (c *call) read(optional bool, types ...string) ([]byte, error) {
	limit := c.api.opts.MaxBodyBytes
	if c.r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if c.r.Header.Get("Content-Encoding") != "" {
		c.w.Header().Set("Accept-Encoding", "identity")
		return nil, &problem{Status: http.StatusUnsupportedMediaType, Detail: "The body must not be compressed."}
	}
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	switch tooLong := (*http.MaxBytesError)(nil); {
	case errors.As(err, &tooLong):
		return nil, err
	case err != nil:
		return nil, &problem{Status: http.StatusBadRequest, Detail: "The body could not be read."}
	case len(text) == 0 && optional:
		return nil, nil
	}
	types = append([]string{"application/json"}, types...)
	media, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || !slices.Contains(types, media) ||
		charset != "" && !strings.EqualFold(charset, "utf-8") {
		header := "Accept"
		if c.r.Method == http.MethodPatch {
			header = "Accept-Patch"
		}
		c.w.Header().Set(header, strings.Join(types, ", "))
		return nil, &problem{
			Status: http.StatusUnsupportedMediaType,
			Detail: "The body's Content-Type must be " + strings.Join(types, " or ") + ".",
		}
	}
	return text, nil
}

// query returns the parameters in the URL, each of which must be one of these, and occur once.
func (c *call) query(names []string) (map[string]string, error) {
	all, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, &problem{Status: http.StatusBadRequest, Detail: "The URL has a malformed query."}
	}
	one := make(map[string]string, len(all))
	for name, values := range all {
		switch {
		case !slices.Contains(names, name):
			return nil, badField(shown(name), "there is no such parameter")
		case len(values) > 1:
			return nil, badField(name, "it occurs twice")
		}
		one[name] = values[0]
	}
	return one, nil
}

// shown returns the beginning of a name that the caller has chosen.
func shown(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "") + "…"
	}
	return name
}

// streamBuffer is how much of a stream waits for the client. What fits into it is answered as a
// whole.
const streamBuffer = 32 << 10

// slowest is how long a client may take to accept a buffer of a stream.
const slowest = 30 * time.Second

// stream answers with JSON that fn writes bit by bit, in constant memory. If fn fails before the
// buffer is full, its error is the answer; later the connection is aborted.
func (c *call) stream(fn func(w *bufio.Writer) error) error {
	control := http.NewResponseController(c.w)
	out := bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		if c.status == 0 {
			c.w.Header().Set("Content-Type", "application/json")
			c.writeHeader(http.StatusOK)
		}
		_ = control.SetWriteDeadline(time.Now().Add(slowest)) // a ResponseWriter that can't has no slow clients
		return c.w.Write(p)
	}), streamBuffer)
	err := fn(out)
	if err == nil {
		err = out.Flush()
	}
	if c.status != 0 {
		_ = control.SetWriteDeadline(time.Time{})
	}
	if err != nil && c.status != 0 && c.r.Context().Err() != nil { // the client has gone
		return errors.Join(errAborted, context.Cause(c.r.Context()))
	}
	return err
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
