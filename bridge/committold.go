package bridge

import (
	"log/slog"
	"net/http"
	"strings"
)

// tellCommit reports that a request's changes were not stored. One that its client has caused, by a login in another tab or a session too large, is no failure.
func (rq *request) tellCommit(doing string, err error) {
	if !causedByClient(err) {
		rq.b.stats.failedCommits.Add(1)
		rq.tell(doing, err)
		return
	}
	rq.b.stats.refusedCommits.Add(1)
	id := ""
	if s := rq.opened(); s != nil {
		id = s.id
	}
	rq.b.opts.Logger.LogAttrs(rq, slog.LevelDebug, "refused", slog.String("doing", doing), slog.Any("error", err), rq.b.logSession(id))
}

// headersOfErrors returns the handler's headers that an error in place of its answer keeps: without those for CORS a script of another origin could not read it.
func headersOfErrors(h http.Header) http.Header {
	kept := make(http.Header)
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "Access-Control-"), name == "Vary", name == "Timing-Allow-Origin", name == "Cross-Origin-Resource-Policy":
			kept[name] = values
		}
	}
	return kept
}

// tear notes that the client has a part of the handler's answer, whose rest is not to come.
func (rq *request) tear(err error) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.failed, rq.torn = err, true
}

// settleAbort is called with the panic of a handler whose client has got an error instead of its answer. That is complete: a handler that aborts its own, as
// httputil.ReverseProxy does when it can't be written, aborts nothing.
func (rq *request) settleAbort(p any) {
	rq.mu.Lock()
	torn := rq.torn
	rq.mu.Unlock()
	if p != nil && (torn || p != http.ErrAbortHandler) { //nolint:errorlint // as net/http has it
		panic(p)
	}
}
