package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"vmaf-images/server/internal/scoring"
)

var status = map[scoring.Kind]int{
	scoring.BadRequest:   http.StatusBadRequest,
	scoring.BadOptions:   http.StatusBadRequest,
	scoring.PathRefused:  http.StatusForbidden,
	scoring.NotFound:     http.StatusNotFound,
	scoring.Timeout:      http.StatusRequestTimeout,
	scoring.TooLarge:     http.StatusRequestEntityTooLarge,
	scoring.BadVideo:     http.StatusUnprocessableEntity,
	scoring.VideosDiffer: http.StatusUnprocessableEntity,
	scoring.NotScorable:  http.StatusUnprocessableEntity,
	scoring.QueueFull:    http.StatusTooManyRequests,
	scoring.Draining:     http.StatusServiceUnavailable,
	scoring.ScratchFull:  http.StatusServiceUnavailable,
	scoring.Internal:     http.StatusInternalServerError,
	scoring.Cancelled:    statusCancelled,
}

// statusCancelled is for the metrics and the log; no client is there to see it.
const statusCancelled = 499

// retryAfter is in seconds: a place is free again when any scoring ends.
const retryAfter = "1"

// httpProblem is a problem that only HTTP knows.
type httpProblem struct {
	status              int
	name, detail, allow string
}

func (p *httpProblem) Error() string { return p.detail }

// Unwrap is for who only asks whose fault it was.
func (p *httpProblem) Unwrap() error { return scoring.Problemf(scoring.BadRequest, "%s", p.detail) }

// problem is a problem document of RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func document(err error) problem {
	name, code, detail := "", 0, ""
	var own *httpProblem
	if errors.As(err, &own) {
		name, code, detail = own.name, own.status, own.detail
	} else {
		p := scoring.AsProblem(err)
		name, code, detail = string(p.Kind), status[p.Kind], p.Detail
	}
	title := http.StatusText(code)
	if title == "" {
		title = "Client Closed Request"
	}
	return problem{"urn:vmaf:problem:" + name, title, code, detail}
}

// fail answers with an error, if the answer has not begun.
func (s *server) fail(a *answer, r *http.Request, err error) {
	doc := document(err)
	if doc.Status == http.StatusInternalServerError {
		s.log.Error("request failed", "path", r.URL.Path, "error", errorText(err))
	}
	if a.status != 0 {
		return
	}
	h := a.Header()
	h.Set("Content-Type", "application/problem+json")
	if doc.Status == http.StatusTooManyRequests || doc.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	var own *httpProblem
	if errors.As(err, &own) && own.allow != "" {
		h.Set("Allow", own.allow)
	}
	control := http.NewResponseController(a)
	_ = control.SetWriteDeadline(time.Now().Add(s.StallTimeout))
	a.WriteHeader(doc.Status)
	_ = json.NewEncoder(a).Encode(doc)
	if r.Body != nil && r.Body != http.NoBody {
		_ = control.Flush()
		s.linger(control, r.Body)
	}
}

func errorText(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

// linger reads on for a moment what the client still sends: a connection closed
// on unread bytes is reset, and the client would not see the answer.
func (s *server) linger(control *http.ResponseController, body io.Reader) {
	const atMost, moment = 256 << 20, 2 * time.Second
	_ = control.SetReadDeadline(time.Now().Add(moment))
	_, _ = io.CopyN(io.Discard, body, atMost)
}
