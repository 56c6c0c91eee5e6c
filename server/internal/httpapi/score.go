package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vmaf-images/server/internal/scoring"
)

// score handles POST /v1/score.
func (s *server) score(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	err := s.guard(s.scoreRequest, w, r)
	s.engine.Finished("http", err, time.Since(start))
	return err
}

// scoreRequest checks and scores a request, and writes the result.
func (s *server) scoreRequest(w http.ResponseWriter, r *http.Request) error {
	frames, err := parseFrames(r.URL.RawQuery)
	if err != nil {
		return err
	}
	media, boundary, err := s.contentType(r)
	if err != nil {
		return err
	}
	// Scores of frames are sent while the videos are still being received.
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		return err
	}
	body := newBody(r, control, s.MaxBodyBytes, s.StallTimeout)
	var work func(context.Context, scoring.Emit) (*scoring.Result, error)
	if media == jsonType {
		text, err := readAtMost(body, s.MaxOptionsBytes, "body")
		if err != nil {
			return body.explain(err)
		}
		request, err := scoring.ParsePathRequest(text)
		if err != nil {
			return err
		}
		work = func(ctx context.Context, emit scoring.Emit) (*scoring.Result, error) {
			return s.engine.ScorePaths(ctx, request, emit)
		}
	} else {
		work = func(ctx context.Context, emit scoring.Emit) (*scoring.Result, error) {
			result, err := s.scoreUpload(ctx, body, boundary, emit)
			return result, body.explain(err)
		}
	}
	if frames {
		return s.stream(w, r, body, work)
	}
	var result *scoring.Result
	err = s.engine.Do(r.Context(), func(ctx context.Context) (err error) {
		defer body.closeOn(ctx)()
		result, err = work(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	body.allowWrite()
	return writeJSON(w, toResult(result, ""))
}

const (
	jsonType = "application/json"
	formType = "multipart/form-data"
)

// contentType returns the type of a request's body, which is jsonType or formType, and the boundary
// of a form. It returns an error for other types, and for a body that is announced as too large.
func (s *server) contentType(r *http.Request) (media, boundary string, err error) {
	if r.Header.Get("Content-Encoding") != "" {
		return "", "", unsupported("a Content-Encoding is not supported; send the body without one")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return "", "", unsupported("the Content-Type must be multipart/form-data or application/json")
	case media != jsonType && media != formType:
		return "", "", unsupported(fmt.Sprintf("the Content-Type %.100q is not supported; "+
			"it must be multipart/form-data or application/json", media))
	case media == formType && params["boundary"] == "":
		return "", "", scoring.Problemf(scoring.BadRequest, "the Content-Type has no boundary")
	case r.ContentLength > s.MaxBodyBytes:
		return "", "", tooLarge("body", s.MaxBodyBytes)
	}
	return media, params["boundary"], nil
}

// stream responds with a line of JSON for each frame, and one for the result.
func (s *server) stream(w http.ResponseWriter, r *http.Request, body *body,
	work func(context.Context, scoring.Emit) (*scoring.Result, error)) error {
	begun := false
	line := func(v any) error {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		body.allowWrite()
		if err := json.NewEncoder(w).Encode(v); err != nil {
			return scoring.Problemf(scoring.Cancelled, "the client does not read: %w", err)
		}
		if err := body.control.Flush(); err != nil {
			return scoring.Problemf(scoring.Cancelled, "the client does not read: %w", err)
		}
		return nil
	}
	var result *scoring.Result
	err := s.engine.Do(r.Context(), func(ctx context.Context) (err error) {
		defer body.closeOn(ctx)()
		result, err = work(ctx,
			func(_ context.Context, f scoring.Frame) error { return line(toFrame(f)) })
		return err
	})
	if err == nil {
		return line(toResult(result, "result"))
	}
	if begun {
		_ = line(errorLine{Type: "error", Problem: document(err)})
	}
	return err
}

// parseFrames returns the value of the query parameter frames. It returns an error for any
// other parameter.
func parseFrames(raw string) (bool, error) {
	value, err := parseQuery(raw, "frames", "false", "true")
	return value == "true", err
}

// parseQuery returns the value of a query parameter that may be given once, and has one of the
// values. The first value is the default. It returns an error for any other parameter, and thus for
// all of them if the name and the only value are empty.
func parseQuery(raw, name string, values ...string) (string, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "", scoring.Problemf(scoring.BadRequest, "invalid query: %w", err)
	}
	for other := range query {
		if other != name {
			return "", scoring.Problemf(scoring.BadRequest, "unknown query parameter %.100q", other)
		}
	}
	switch given := query[name]; {
	case len(given) == 0:
		return values[0], nil
	case len(given) == 1 && slices.Contains(values, given[0]):
		return given[0], nil
	}
	return "", scoring.Problemf(scoring.BadRequest,
		"the query parameter %q must be %s, and given once", name, strings.Join(values, " or "))
}

func unsupported(detail string) error {
	return &httpProblem{status: http.StatusUnsupportedMediaType, name: "unsupported-media-type",
		detail: detail}
}

func tooLarge(what string, limit int64) error {
	return scoring.Problemf(scoring.TooLarge, "the %s exceeds the limit of %d bytes", what, limit)
}

// readAtMost reads r to its end. It returns an error if r has more than limit bytes.
func readAtMost(r io.Reader, limit int64, what string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = tooLarge(what, limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = scoring.Problemf(scoring.BadRequest, "the %s is truncated", what)
	}
	return text, err
}
