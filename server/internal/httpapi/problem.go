package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"vmaf-images/server/internal/overload"
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
	scoring.NoDecoder:    http.StatusNotImplemented,
	scoring.NotDone:      http.StatusConflict,
	scoring.Internal:     http.StatusInternalServerError,
	scoring.Cancelled:    statusCancelled,
}

// statusCancelled appears only in the metrics and the log, as the client is gone.
const statusCancelled = 499

// retryAfter is the value of the header Retry-After, in seconds.
const retryAfter = "1"

// httpProblem is a problem that only the HTTP interface has.
type httpProblem struct {
	status       int
	name, detail string
	allow        string // the header Allow, if not empty
}

func (p *httpProblem) Error() string { return p.detail }

// Unwrap returns a Problem, so that the metrics count the request as invalid.
func (p *httpProblem) Unwrap() error { return scoring.Problemf(scoring.BadRequest, "%s", p.detail) }

// problem is a problem document as in RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Check  string `json:"check,omitempty"`
}

// document returns the problem document of an error.
func document(err error) problem {
	name, code, detail, check := "", 0, "", ""
	var hp *httpProblem
	if errors.As(err, &hp) {
		name, code, detail = hp.name, hp.status, hp.detail
	} else {
		p := scoring.AsProblem(err)
		name, code, detail, check = string(p.Kind), status[p.Kind], p.Detail, p.Check
	}
	title := http.StatusText(code)
	if title == "" {
		title = "Client Closed Request"
	}
	return problem{Type: "urn:vmaf:problem:" + name, Title: title, Status: code, Detail: detail,
		Check: check}
}

// fail responds with an error, unless the response has begun. It logs internal errors.
func (s *server) fail(w *responseWriter, r *http.Request, err error) {
	doc := document(err)
	if doc.Status == http.StatusInternalServerError {
		s.log.Error("request failed", "path", r.Pattern, "error", errorText(err))
	}
	if w.status != 0 {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if doc.Status == http.StatusTooManyRequests || doc.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	var hp *httpProblem
	if errors.As(err, &hp) && hp.allow != "" {
		h.Set("Allow", hp.allow)
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(s.StallTimeout))
	text, _ := json.Marshal(doc)
	text = append(text, '\n')
	// The length makes the response complete before the rest of the request is read.
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(doc.Status)
	_, _ = w.Write(text)
	if r.Body != nil && r.Body != http.NoBody && !overload.FromReserved(r.Context()) {
		_ = control.Flush()
		s.linger(control, r.Body, scoring.Overloaded(err))
	}
}

// errorText returns the message of the innermost error of err's chain. The outer one is
// written for the client and may have no details.
func errorText(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

// linger reads and discards the rest of the request for a short time. Closing a connection with
// unread data resets it, and the client might then lose the response. What it reads of a refused
// request delays the next refusals.
func (s *server) linger(control *http.ResponseController, body io.Reader, refused bool) {
	const maxBytes, timeout = 256 << 20, 2 * time.Second
	_ = control.SetReadDeadline(time.Now().Add(timeout))
	for range maxBytes / scoring.BytesOfRefusal {
		_, err := io.CopyN(io.Discard, body, scoring.BytesOfRefusal)
		if err != nil {
			return
		}
		if refused {
			s.engine.DelayRefusals()
		}
	}
}
