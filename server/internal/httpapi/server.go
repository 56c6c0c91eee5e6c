// Package httpapi implements the HTTP interface that api/openapi.yaml defines, and serves the
// page for browsers.
package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"vmaf-images/server/api"
	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// Settings are the settings of the HTTP interface.
type Settings struct {
	Address                    string
	MaxBodyBytes               int64
	MaxOptionsBytes            int64
	MaxHeaderBytes             int
	HeaderTimeout, IdleTimeout time.Duration
	StallTimeout               time.Duration
	Refusals                   *overload.Summary
}

type server struct {
	Settings
	engine  *scoring.Engine
	jobs    *jobs.Service
	metrics *metrics.Metrics
	log     *slog.Logger
}

// New returns a server. Cancelling base cuts off all requests, with its cause as their error.
func New(base context.Context, s Settings, e *scoring.Engine, j *jobs.Service, m *metrics.Metrics,
	log *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              s.Address,
		Handler:           (&server{Settings: s, engine: e, jobs: j, metrics: m, log: log}).handler(),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       overload.ConnContext,
		ReadHeaderTimeout: s.HeaderTimeout,
		IdleTimeout:       s.IdleTimeout,
		// net/http's response to large headers is not a problem document, so the server's
		// own check has a lower limit.
		MaxHeaderBytes: 16 * s.MaxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// endpoint is a path and the methods that it accepts.
type endpoint struct {
	methods, path string // methods have commas between them
	serve         func(http.ResponseWriter, *http.Request) error
}

func (s *server) handler() http.Handler {
	endpoints := []endpoint{
		{"POST", "/v1/score", s.score},
		{"POST", "/v1/jobs", s.addJob},
		{"GET, DELETE", "/v1/jobs/{id}", s.job},
		{"GET", "/v1/jobs/{id}/frames", s.jobFrames},
		{"GET", "/v1/models", s.models},
		{"GET", "/healthz", s.healthz},
		{"GET", "/readyz", s.readyz},
		{"GET", "/metrics", s.serveMetrics},
		{"GET", "/openapi.yaml", file("application/yaml", api.OpenAPI)},
	}
	for name, f := range page {
		endpoints = append(endpoints, endpoint{"GET", name, file(f.contentType, f.content)})
	}
	mux := http.NewServeMux()
	for _, e := range endpoints {
		path := e.path
		if path == "/" {
			path = "/{$}"
		}
		mux.Handle(path, s.wrap(e.path, e.methods, e.serve))
	}
	mux.Handle("/", s.wrap("other", "", func(_ http.ResponseWriter, r *http.Request) error {
		return scoring.Problemf(scoring.NotFound,
			"there is no endpoint %s; /openapi.yaml lists the endpoints", r.URL.Path)
	}))
	return mux
}

// methods are the methods that the metrics distinguish. Other methods share a label, so that
// clients cannot create time series.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
	"CONNECT"}

// wrap returns a handler that checks a request, calls serve, responds to errors, and counts
// and logs the request.
func (s *server) wrap(path, accepted string,
	serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rw := &responseWriter{ResponseWriter: w}
		// Replace the deadline that the previous request on this connection has set.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.StallTimeout))
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		err := s.admit(rw, path, r)
		if err == nil {
			err = s.check(accepted, r)
		}
		if err == nil {
			err = s.guard(serve, rw, r)
		}
		refused := scoring.Overloaded(err)
		if refused {
			s.Refusals.Refused("http")
		}
		if err != nil {
			s.fail(rw, r, err)
		}
		name := r.Method
		if !slices.Contains(methods, name) {
			name = "other"
		}
		s.metrics.HTTP.WithLabelValues(path, name, strconv.Itoa(rw.code())).Inc()
		level := slog.LevelInfo
		if path != "/v1/score" && path != "/v1/jobs" || refused {
			level = slog.LevelDebug
		}
		s.log.Log(r.Context(), level, "request", "method", name, "path", path, "code", rw.code(),
			"seconds", time.Since(start).Seconds(), "client", r.RemoteAddr)
	})
}

// monitoring are the endpoints that answer on reserved connections.
var monitoring = []string{"/healthz", "/readyz", "/metrics"}

// admit returns an error if a request came on a reserved connection and is not for monitoring.
// A reserved connection is closed after one request.
func (s *server) admit(w http.ResponseWriter, path string, r *http.Request) error {
	if !overload.FromReserved(r.Context()) {
		return nil
	}
	w.Header().Set("Connection", "close")
	if slices.Contains(monitoring, path) {
		return nil
	}
	return scoring.Problemf(scoring.QueueFull, "too many connections are open; try again later")
}

// guard calls serve and converts a panic to an error, so that a bug does not end the server.
func (s *server) guard(serve func(http.ResponseWriter, *http.Request) error,
	w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v", value)
		}
	}()
	return serve(w, r)
}

// check returns an error if the headers are too large or the method is not accepted. An empty text
// accepts all.
func (s *server) check(accepted string, r *http.Request) error {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > s.MaxHeaderBytes {
		return &httpProblem{
			status: http.StatusRequestHeaderFieldsTooLarge,
			name:   "headers-too-large",
			detail: fmt.Sprintf("the headers have %d bytes, but the limit is %d",
				size, s.MaxHeaderBytes),
		}
	}
	list := strings.Split(accepted, ", ")
	if accepted == "" || slices.Contains(list, r.Method) ||
		r.Method == "HEAD" && slices.Contains(list, "GET") {
		return nil
	}
	return &httpProblem{
		status: http.StatusMethodNotAllowed,
		name:   "method-not-allowed",
		detail: fmt.Sprintf("%s does not support %.20s, only %s", r.URL.Path, r.Method, accepted),
		allow:  accepted,
	}
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, health{Status: "ok"})
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if err := s.engine.Ready(); err != nil {
		s.log.Warn("not ready", "error", err.Error())
		return &httpProblem{
			status: http.StatusServiceUnavailable, name: "not-ready", detail: err.Error(),
		}
	}
	return writeJSON(w, health{Status: "ok"})
}

func (s *server) models(w http.ResponseWriter, _ *http.Request) error {
	models, err := s.engine.Models()
	if err != nil {
		return err
	}
	list := modelList{Libvmaf: vmaf.Version(), Default: s.engine.DefaultModel(),
		Features: scoring.FeatureNames()}
	for _, m := range models {
		source := "file"
		if m.BuiltIn {
			source = "built-in"
		}
		list.Models = append(list.Models, modelInfo{Name: m.Name, Source: source})
	}
	return writeJSON(w, list)
}

func (s *server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.Handler().ServeHTTP(w, r)
	return nil
}

// file returns a handler that serves content.
func file(contentType string, content []byte) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy",
			"default-src 'self'; img-src data:; frame-ancestors 'none'")
		_, err := w.Write(content)
		return err
	}
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// responseWriter records the status of the response.
type responseWriter struct {
	http.ResponseWriter
	status int // 0 until the response has begun
}

func (w *responseWriter) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap returns the underlying writer, for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code returns the status, or 200 if nothing was written.
func (w *responseWriter) code() int {
	return cmp.Or(w.status, http.StatusOK)
}
