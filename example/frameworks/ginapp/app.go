// Package ginapp is the application with github.com/gin-gonic/gin. The Bridge is around the engine:
// gin's own middlewares and handlers are inside of it. For a group of routes see docs/routers.md.
package ginapp

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
)

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.SetHTMLTemplate(counter.Page)
	engine.GET("/", func(c *gin.Context) {
		view, err := bridge.WithSession(c.Request.Context(), b.For(c.Request), counter.Visit, nil)
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
			return
		}
		c.HTML(http.StatusOK, "page", view)
	})
	engine.POST("/login", func(c *gin.Context) {
		s, err := b.Session(c.Request)
		if err == nil {
			err = s.Login(c.PostForm("user")) // once the password has been checked
		}
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
			return
		}
		c.Redirect(http.StatusSeeOther, "/")
	})
	engine.POST("/logout", func(c *gin.Context) {
		s, err := b.Session(c.Request)
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
			return
		}
		s.Logout()
		c.Redirect(http.StatusSeeOther, "/")
	})
	engine.GET("/ws", gin.WrapH(counter.Messages(b)))
	return b.Handler(engine)
}
