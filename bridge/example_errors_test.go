package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The answers of the Bridge in the application's own look: a page, or for scripts the default.
func ExampleOptions_errorHandler() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Logger: slog.New(slog.DiscardHandler),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			switch {
			case r.Header.Get("Accept") != "text/html":
				bridge.WriteError(w, r, err)
			case errors.Is(err, bridge.ErrSessionGone):
				http.Redirect(w, r, "/login", http.StatusSeeOther)
			default:
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.WriteHeader(bridge.HTTPStatus(err))
				fmt.Fprint(w, "<h1>That did not work</h1>")
			}
		},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	save := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("note", make([]byte, 100_000)) // more than MaxValueBytes
		fmt.Fprint(w, "saved")
	}))
	for _, accept := range []string{"text/html", "application/json"} {
		r := httptest.NewRequest(http.MethodPost, "/save", http.NoBody)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		save.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 413 <h1>That did not work</h1>
	// 413 {"title":"Request Entity Too Large","status":413,"detail":"The session could not be stored: it would become too large."}
}
