package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin/internal/dashboard"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

func get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	dashboard.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPageLoadsOnlyItsOwnFiles(t *testing.T) {
	index := get("/")
	require.Equal(t, http.StatusOK, index.Code)
	require.Contains(t, index.Header().Get("Content-Type"), "text/html")
	loaded := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(index.Body.String(), -1)
	require.NotEmpty(t, loaded)
	for _, match := range loaded {
		if strings.HasPrefix(match[1], "../v1/") { // of the API
			continue
		}
		require.NotContains(t, match[1], ":")
		w := get("/" + match[1])
		require.Equal(t, http.StatusOK, w.Code, match[1])
		require.NotContains(t, w.Header().Get("Content-Type"), "text/plain", match[1])
	}
}

func TestPageHasAStrictPolicy(t *testing.T) {
	for _, path := range []string{"/", "/dashboard.js", "/vendor/uPlot.js"} {
		h := get(path).Header()
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'", path)
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe", path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
	}
	index := get("/").Body.String()
	require.NotRegexp(t, `<script(?:[^>]*)>[^<]`, index, "no inline script")
	require.NotRegexp(t, `\s(?:style|on\w+)=`, index)
}

// scripts returns the page's own scripts: dashboard.js, and what it imports.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for wait := []string{"/dashboard.js"}; len(wait) > 0; wait = wait[1:] {
		if all[wait[0]] != "" {
			continue
		}
		w := get(wait[0])
		require.Equal(t, http.StatusOK, w.Code, wait[0])
		require.Contains(t, w.Header().Get("Content-Type"), "javascript", wait[0])
		all[wait[0]] = w.Body.String()
		for _, match := range regexp.MustCompile(`(?m)^import .* from "\.(/[^"]+)";$`).FindAllStringSubmatch(w.Body.String(), -1) {
			wait = append(wait, match[1])
		}
	}
	return all
}

// TestScriptsKeepTheKey: it is in no storage and no URL, and nothing is read as HTML.
func TestScriptsKeepTheKey(t *testing.T) {
	all := scripts(t)
	require.Len(t, all, 6)
	for name, script := range all {
		for _, word := range []string{"localStorage", "sessionStorage", "indexedDB", "document.cookie", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function"} {
			require.NotContains(t, script, word, name)
		}
	}
}

func TestVendoredFileHasItsLicence(t *testing.T) {
	require.Contains(t, get("/vendor/uPlot.js").Body.String(), "uPlot (v1.6.32)")
	require.Contains(t, get("/vendor/LICENSE").Body.String(), "MIT")
}
