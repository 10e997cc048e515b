package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkREST(b *testing.B) { benchmark(b, restGroups()) }

// Each request is sent and answered, and an answer that isn't the session is found out.
func TestRESTAnswersAreRead(t *testing.T) {
	asked, body, status := atomic.Int64{}, sessionData, http.StatusOK
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer site.Close()
	send := func() error {
		return sendAll(strings.TrimPrefix(site.URL, "http://"), 4, 25, func(int) []byte {
			return []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		})
	}
	require.NoError(t, send())
	require.EqualValues(t, 25, asked.Load())
	body = "{}"
	require.ErrorContains(t, send(), "without the session")
	status = http.StatusNotFound
	require.ErrorContains(t, send(), "answers HTTP/1.1 404")
}
