package admin

import (
	_ "embed"
	"net/http"
)

// openAPI describes the routes.
//
//go:embed openapi.json
var openAPI []byte

// document answers with the description of the API.
func (c *call) document() error {
	c.w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	c.writeHeader(http.StatusOK)
	_, _ = c.w.Write(openAPI)
	return nil
}
