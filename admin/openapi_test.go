package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
)

// The document has each route that is served, with its name and scope, and no other.
func TestDocumentHasEachRoute(t *testing.T) {
	_, c := newMain(t, nil)
	a := c.as("").ok(http.StatusOK, get, "/v1/openapi.json", nil)
	require.Contains(t, a.Header.Get("Content-Type"), "application/vnd.oai.openapi+json")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string      `json:"operationId"`
			Scope       string      `json:"x-scope"`
			Security    []struct{}  `json:"security"`
			RequestBody *struct{}   `json:"requestBody"`
			Parameters  []parameter `json:"parameters"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(a.Body), &doc))
	described := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			described[strings.ToUpper(method)+" "+path] = true
			require.Equal(t, strings.Contains(path, "{app}"), len(op.Parameters) > 0 && strings.HasSuffix(op.Parameters[0].Ref, "/app"))
			require.Equal(t, method != "get", op.RequestBody != nil, op.OperationID)
		}
	}
	for _, rt := range admin.RouteList() {
		op, ok := doc.Paths[rt.Pattern][strings.ToLower(rt.Method)]
		require.True(t, ok, "%s %s", rt.Method, rt.Pattern)
		require.Equal(t, rt.Action, op.OperationID)
		require.Equal(t, rt.Changes, rt.Scope == admin.ScopeWrite, "each change is logged")
		if rt.Open {
			require.NotNil(t, op.Security)
			require.Empty(t, op.Security)
		} else {
			require.Equal(t, rt.Scope.String(), op.Scope, rt.Action)
		}
		delete(described, rt.Method+" "+rt.Pattern)
	}
	require.Empty(t, described, "nothing else")
}

type parameter struct {
	Ref string `json:"$ref"`
}
