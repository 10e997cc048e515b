package importer_test

import (
	"log"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/importer"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// An application moves from gorilla/sessions. Its users stay logged in.
func ExampleFromGorilla() {
	old := sessions.NewFilesystemStore("", []byte("the key that the application has")) // as it was
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Import: importer.FromGorilla(old, "session-name", importer.Options{
			UserID: func(values map[string]any) string {
				user, _ := values["user"].(string) // where the application kept it
				delete(values, "user")
				return user
			},
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = b
}
