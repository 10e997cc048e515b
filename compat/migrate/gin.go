package migrate

import (
	"fmt"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// withGinContrib is written for gin-contrib/sessions. Its store may be a ginStore.
func withGinContrib(st sessions.Store) http.Handler {
	engine := gin.New()
	engine.Use(sessions.Sessions("app", st))
	engine.GET("/", func(c *gin.Context) {
		session := sessions.Default(c)
		visits, _ := session.Get("visits").(int)
		session.Set("visits", visits+1)
		if err := session.Save(); err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		user, _ := session.Get("user").(string)
		c.String(http.StatusOK, "%q %d", user, visits+1)
	})
	engine.POST("/login", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("user", c.PostForm("user"))
		if err := session.Save(); err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
		}
	})
	engine.POST("/logout", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Options(sessions.Options{MaxAge: -1})
		if err := session.Save(); err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
		}
	})
	return engine
}

// ginStore makes b.Gorilla() a store of gin-contrib/sessions. The options of the cookie are the
// Bridge's.
type ginStore struct{ gorilla.Store }

func (ginStore) Options(sessions.Options) {}

// ginWithNewLogin is the application after the first two steps: its other handlers are the old ones.
func ginWithNewLogin(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	engine := gin.New()
	engine.POST("/login", gin.WrapF(login(b)))
	mux.Handle("POST /login", engine)
	mux.Handle("/", withGinContrib(ginStore{b.Gorilla()}))
	return b.Handler(mux)
}

// ginWithBridge is the application after the move.
func ginWithBridge(b *bridge.Bridge) http.Handler {
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		page, err := bridge.WithSession(c.Request.Context(), b.For(c.Request), visit, nil)
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
			return
		}
		_, _ = fmt.Fprint(c.Writer, page)
	})
	engine.POST("/login", func(c *gin.Context) {
		s, err := b.Session(c.Request)
		if err == nil {
			err = s.Login(c.PostForm("user")) // replaces the secret in the cookie
		}
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
		}
	})
	engine.POST("/logout", func(c *gin.Context) {
		s, err := b.Session(c.Request)
		if err != nil {
			b.WriteError(c.Writer, c.Request, err)
			return
		}
		s.Logout() // and every socket of the session is closed
	})
	return b.Handler(engine) // around the engine
}
