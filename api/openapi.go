package api

import (
	_ "embed"
	"net/http"
)

// openAPI describes every route; a test compares it with routes and errorTable.
//
//go:embed openapi.yaml
var openAPI []byte

func (s *server) handleOpenAPI(c *call) error {
	c.replyBytes(http.StatusOK, "application/yaml", openAPI)
	return nil
}
