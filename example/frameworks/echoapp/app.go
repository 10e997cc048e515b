// Package echoapp is the application with github.com/labstack/echo. The Bridge is one of its
// middlewares: echo.WrapMiddleware passes on the request and the response writer.
package echoapp

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
)

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	e := echo.New()
	e.Use(echo.WrapMiddleware(b.Handler))
	e.GET("/", func(c echo.Context) error {
		view, err := bridge.WithSession(c.Request().Context(), b.For(c.Request()), counter.Visit, nil)
		if err != nil {
			b.WriteError(c.Response(), c.Request(), err)
			return nil
		}
		return counter.Page.Execute(c.Response(), view)
	})
	e.POST("/login", func(c echo.Context) error {
		s, err := b.Session(c.Request())
		if err == nil {
			err = s.Login(c.FormValue("user")) // once the password has been checked
		}
		if err != nil {
			b.WriteError(c.Response(), c.Request(), err)
			return nil
		}
		return c.Redirect(http.StatusSeeOther, "/")
	})
	e.POST("/logout", func(c echo.Context) error {
		s, err := b.Session(c.Request())
		if err != nil {
			b.WriteError(c.Response(), c.Request(), err)
			return nil
		}
		s.Logout()
		return c.Redirect(http.StatusSeeOther, "/")
	})
	e.GET("/ws", echo.WrapHandler(counter.Messages(b)))
	return e
}
