package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// gauges are the statistics that say now; the others count.
var gauges = []string{"conns", "attached", "healthy"}

// Metrics returns a handler that answers with the statistics of the app in the text format of
// Prometheus. It asks the API with the caller's own key, so the API decides who may.
func Metrics(api http.Handler, app string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.Clone(r.Context())
		inner.Method, inner.URL = http.MethodGet, &url.URL{Path: "/v1/" + app + "/stats"}
		rec := &recorder{header: w.Header(), status: http.StatusOK}
		api.ServeHTTP(rec, inner)
		body := rec.body.Bytes()
		if rec.status == http.StatusOK {
			var err error
			if body, err = exposition(body); err != nil {
				http.Error(w, "The statistics can't be read.", http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		}
		w.WriteHeader(rec.status)
		_, _ = w.Write(body)
	})
}

// exposition returns statistics in the text format of Prometheus.
func exposition(stats []byte) ([]byte, error) {
	var values map[string]any
	numbers := json.NewDecoder(bytes.NewReader(stats))
	numbers.UseNumber()
	if err := numbers.Decode(&values); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if up, ok := value.(bool); ok {
			value = map[bool]int{true: 1}[up]
		}
		metric, kind := "sessionbridge_"+snake(name), "gauge"
		if !slices.Contains(gauges, name) {
			metric, kind = metric+"_total", "counter"
		}
		fmt.Fprintf(&out, "# TYPE %s %s\n%s %v\n", metric, kind, metric, value)
	}
	return out.Bytes(), nil
}

// snake returns storeErrors as store_errors.
func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
