// Package counter has what the applications of all frameworks share: the counter in the session, the
// page, and its handlers for those applications whose pages are plain net/http.
package counter

import (
	"context"
	_ "embed"
	"html/template"
	"strconv"

	"github.com/sessionbridge/sessionbridge/bridge"
)

var counted = bridge.NewKey[int]("counted")

// Add adds one to the counter. Requests and connections call the same function.
func Add(_ context.Context, s *bridge.Session) (int, error) {
	n, _ := counted.Get(s)
	counted.Set(s, n+1)
	return n + 1, nil
}

// View is what the page shows.
type View struct {
	User  string // "" for a guest
	Count int
}

// Visit counts a visit to the page.
func Visit(ctx context.Context, s *bridge.Session) (View, error) {
	n, err := Add(ctx, s)
	return View{s.UserID(), n}, err
}

// Reply is what the server does with a message of a connection: it adds one, and answers with the
// counter.
func Reply(ctx context.Context, link *bridge.Link, _ string) (string, error) {
	n, err := bridge.WithSession(ctx, link, Add, nil)
	return strconv.Itoa(n), err
}

//go:embed page.html
var page string

// Page shows a View. It opens the connection /ws, and has forms for POST /login and POST /logout.
var Page = template.Must(template.New("page").Parse(page))
