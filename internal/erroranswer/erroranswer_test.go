package erroranswer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
)

func TestAcceptDecidesAboutTheForm(t *testing.T) {
	for accept, isJSON := range map[string]bool{
		"":                                      false,
		"*/*":                                   false,
		"application/json":                      true,
		"APPLICATION/JSON":                      true,
		"application/problem+json":              true,
		"application/json, text/plain, */*":     true,
		"text/html, application/json":           false,
		"text/html;q=0.5, application/json":     true,
		"application/json;q=0.5, */*":           false,
		"application/json, */*":                 true,
		"application/json;q=0":                  false,
		"application/json;q=2":                  false,
		"application/json; charset=utf-8;q=0.9": true,
		"image/png, application/json;q=0.1":     true,
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Length", "7")
		erroranswer.Write(w, []string{accept}, http.StatusConflict, `Try "again".`)
		require.Equal(t, http.StatusConflict, w.Code)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Empty(t, w.Header().Get("Content-Length"), "which was of another answer")
		if !isJSON {
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), accept)
			require.Equal(t, "Try \"again\".\n", w.Body.String())
			continue
		}
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), accept)
		var problem map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		require.Equal(t, map[string]any{"title": "Conflict", "status": 409.0, "detail": `Try "again".`}, problem)
	}
}

func TestLinesOfAcceptCountTogether(t *testing.T) {
	w := httptest.NewRecorder()
	erroranswer.Write(w, []string{"text/plain;q=0.1", "application/json"}, http.StatusConflict, "x")
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
}

func TestRetryLaterIsForWhatPasses(t *testing.T) {
	for status, want := range map[int]string{503: "1", 429: "1", 500: "", 409: "", 404: ""} {
		h := http.Header{}
		erroranswer.RetryLater(h, status)
		require.Equal(t, want, h.Get("Retry-After"), status)
	}
	h := http.Header{"Retry-After": {"30"}}
	erroranswer.RetryLater(h, 503)
	require.Equal(t, "30", h.Get("Retry-After"))
}

func TestAnswerIsSentAsAWhole(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("X-Handler", "gone")
	w.Header().Set("X-Outer", "1")
	a := erroranswer.New(http.Header{"X-Outer": {"2"}})
	require.False(t, a.Written())
	a.WriteHeader(http.StatusEarlyHints)
	require.False(t, a.Written(), "an informational status is no answer")
	erroranswer.Write(a, nil, http.StatusServiceUnavailable, "Later.")
	a.WriteHeader(http.StatusOK)
	require.True(t, a.Written())
	require.Empty(t, w.Header().Get("Content-Length"), "nothing is sent yet")
	a.Send(w)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "Later.\n", w.Body.String())
	require.Equal(t, "7", w.Header().Get("Content-Length"))
	require.Equal(t, []string{"2"}, w.Header()["X-Outer"])
	require.NotContains(t, w.Header(), "X-Handler")
}

func TestAnswerThatIsEncodedOnItsWayHasNoLength(t *testing.T) {
	w := httptest.NewRecorder()
	a := erroranswer.New(http.Header{"Content-Encoding": {"gzip"}})
	a.WriteHeader(http.StatusConflict)
	a.Send(w)
	require.NotContains(t, w.Header(), "Content-Length")
}

func TestRestrictKeepsAnAnswerAnError(t *testing.T) {
	for status, want := range map[int]int{0: 503, 200: 503, 204: 503, 302: 302, 304: 503, 404: 404, 599: 599, 600: 503} {
		header := http.Header{"Set-Cookie": {"a=1", "b=2"}, "Session-Token": {"t"}}
		a := erroranswer.New(header)
		a.Header().Set("Set-Cookie", "b=2")
		a.Header().Add("Set-Cookie", "c=3")
		a.Header().Del("Session-Token")
		if status != 0 {
			a.WriteHeader(status)
		}
		a.Restrict(http.StatusServiceUnavailable, header, "Session-Token", "Other")
		w := httptest.NewRecorder()
		a.Send(w)
		require.Equal(t, want, w.Code)
		require.Equal(t, []string{"b=2", "c=3", "a=1"}, w.Header()["Set-Cookie"])
		require.Equal(t, "t", w.Header().Get("Session-Token"))
		require.NotContains(t, w.Header(), "Other")
	}
}

func TestResetKeepsWhatOtherOriginsNeed(t *testing.T) {
	h := http.Header{
		"Content-Type": {"text/html"}, "Etag": {"1"}, "Set-Cookie": {"a=b"}, "Vary": {"Origin"},
		"Access-Control-Allow-Origin": {"https://other.example"}, "Cross-Origin-Resource-Policy": {"cross-origin"},
	}
	erroranswer.Reset(h, http.Header{"Vary": {"Accept-Encoding"}, "Content-Encoding": {"gzip"}})
	require.Equal(t, http.Header{
		"Vary": {"Origin"}, "Content-Encoding": {"gzip"},
		"Access-Control-Allow-Origin": {"https://other.example"}, "Cross-Origin-Resource-Policy": {"cross-origin"},
	}, h)
}
