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
	"time"

	"vmaf-images/server/internal/scoring"
)

// score answers POST /v1/score.
func (s *server) score(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	err := s.guard(s.scoreRequest, w, r)
	s.engine.Finished("http", err, time.Since(start))
	return err
}

func (s *server) scoreRequest(w http.ResponseWriter, r *http.Request) error {
	frames, err := wantsFrames(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if r.Header.Get("Content-Encoding") != "" {
		return unsupported("a Content-Encoding is not taken: send the body as it is")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return unsupported("the Content-Type must be multipart/form-data or application/json")
	}
	if r.ContentLength > s.MaxBodyBytes {
		return tooLarge("body", s.MaxBodyBytes)
	}
	// Frames are answered while the videos are still coming.
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		return err
	}
	body := newBody(r, control, s.MaxBodyBytes, s.StallTimeout)
	var work func(context.Context, scoring.Emit) (*scoring.Result, error)
	switch media {
	case "application/json":
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
	case "multipart/form-data":
		if params["boundary"] == "" {
			return scoring.Problemf(scoring.BadRequest, "the Content-Type has no boundary")
		}
		work = func(ctx context.Context, emit scoring.Emit) (*scoring.Result, error) {
			result, err := s.scoreUpload(ctx, body, params["boundary"], emit)
			return result, body.explain(err)
		}
	default:
		return unsupported(fmt.Sprintf("%.100q is not taken: it must be multipart/form-data or application/json", media))
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

// stream answers with a line for each frame, then one for the result.
func (s *server) stream(w http.ResponseWriter, r *http.Request, body *body, work func(context.Context, scoring.Emit) (*scoring.Result, error)) error {
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
		result, err = work(ctx, func(_ context.Context, f scoring.Frame) error { return line(toFrame(f)) })
		return err
	})
	if err == nil {
		return line(toResult(result, "result"))
	}
	if begun {
		_ = line(errorLine{"error", document(err)})
	}
	return err
}

func wantsFrames(raw string) (bool, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return false, scoring.Problemf(scoring.BadRequest, "the query cannot be read: %w", err)
	}
	for name := range query {
		if name != "frames" {
			return false, scoring.Problemf(scoring.BadRequest, "the query has an unknown name, %.100q", name)
		}
	}
	switch values := query["frames"]; {
	case len(values) == 0:
		return false, nil
	case len(values) == 1 && (values[0] == "true" || values[0] == "false"):
		return values[0] == "true", nil
	}
	return false, scoring.Problemf(scoring.BadRequest, "frames must be true or false, once")
}

func unsupported(detail string) error {
	return &httpProblem{http.StatusUnsupportedMediaType, "unsupported-media-type", detail, ""}
}

func tooLarge(what string, limit int64) error {
	return scoring.Problemf(scoring.TooLarge, "the %s is above the limit of %d bytes", what, limit)
}

// readAtMost reads what is small.
func readAtMost(r io.Reader, limit int64, what string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = tooLarge(what, limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = scoring.Problemf(scoring.BadRequest, "the %s ends too soon", what)
	}
	return text, err
}
