// Package httpapi serves the engine over HTTP, as api/openapi.yaml says.
package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vmaf-images/server/api"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// Settings are those of HTTP alone.
type Settings struct {
	Address                    string
	MaxBodyBytes               int64
	MaxOptionsBytes            int64
	MaxHeaderBytes             int
	HeaderTimeout, IdleTimeout time.Duration
	StallTimeout               time.Duration
}

type server struct {
	Settings
	engine  *scoring.Engine
	metrics *metrics.Metrics
	log     *slog.Logger
}

// New returns the server; base is cancelled to cut its requests off.
func New(base context.Context, s Settings, e *scoring.Engine, m *metrics.Metrics, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              s.Address,
		Handler:           (&server{s, e, m, log}).handler(),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: s.HeaderTimeout,
		IdleTimeout:       s.IdleTimeout,
		// net/http's own answer has no problem document: ours comes first.
		MaxHeaderBytes: 16 * s.MaxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// endpoint is a path with the one method it is for.
type endpoint struct {
	method, path string
	serve        func(http.ResponseWriter, *http.Request) error
}

func (s *server) handler() http.Handler {
	endpoints := []endpoint{
		{"POST", "/v1/score", s.score},
		{"GET", "/v1/models", s.models},
		{"GET", "/healthz", s.healthz},
		{"GET", "/readyz", s.readyz},
		{"GET", "/metrics", s.showMetrics},
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
		mux.Handle(path, s.wrap(e.path, e.method, e.serve))
	}
	mux.Handle("/", s.wrap("other", "", func(_ http.ResponseWriter, r *http.Request) error {
		return scoring.Problemf(scoring.NotFound, "there is no %s here; /openapi.yaml says what there is", r.URL.Path)
	}))
	return mux
}

// methods are those that a metric may name: the rest is the client's to invent.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

// wrap checks what goes for every request, answers errors, counts and logs.
func (s *server) wrap(path, method string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		a := &answer{ResponseWriter: w}
		// A deadline stays with the connection until the next is set.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.StallTimeout))
		a.Header().Set("X-Content-Type-Options", "nosniff")
		err := s.check(method, r)
		if err == nil {
			err = s.guard(serve, a, r)
		}
		if err != nil {
			s.fail(a, r, err)
		}
		name := r.Method
		if !slices.Contains(methods, name) {
			name = "other"
		}
		s.metrics.HTTP.WithLabelValues(path, name, strconv.Itoa(a.code())).Inc()
		level := slog.LevelInfo
		if path != "/v1/score" {
			level = slog.LevelDebug
		}
		s.log.Log(r.Context(), level, "request", "method", name, "path", path, "code", a.code(),
			"seconds", time.Since(start).Seconds(), "client", r.RemoteAddr)
	})
}

// guard makes of a panic an error: a fault in one request is not the end of all.
func (s *server) guard(serve func(http.ResponseWriter, *http.Request) error, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return serve(w, r)
}

func (s *server) check(method string, r *http.Request) error {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > s.MaxHeaderBytes {
		return &httpProblem{http.StatusRequestHeaderFieldsTooLarge, "headers-too-large",
			fmt.Sprintf("the headers have %d bytes, the limit is %d", size, s.MaxHeaderBytes), ""}
	}
	if method == "" || r.Method == method || method == "GET" && r.Method == "HEAD" {
		return nil
	}
	return &httpProblem{http.StatusMethodNotAllowed, "method-not-allowed",
		fmt.Sprintf("%s is for %s, not %.20s", r.URL.Path, method, r.Method), method}
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, health{"ok"})
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if err := s.engine.Ready(); err != nil {
		s.log.Warn("not ready", "error", err.Error())
		return &httpProblem{http.StatusServiceUnavailable, "not-ready", err.Error(), ""}
	}
	return writeJSON(w, health{"ok"})
}

func (s *server) models(w http.ResponseWriter, _ *http.Request) error {
	models, err := s.engine.Models()
	if err != nil {
		return err
	}
	list := modelList{Libvmaf: vmaf.Version(), Default: s.engine.DefaultModel(), Features: scoring.FeatureNames()}
	for _, m := range models {
		source := "file"
		if m.BuiltIn {
			source = "built-in"
		}
		list.Models = append(list.Models, modelInfo{m.Name, source})
	}
	return writeJSON(w, list)
}

func (s *server) showMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.Handler().ServeHTTP(w, r)
	return nil
}

func file(contentType string, content []byte) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:; frame-ancestors 'none'")
		_, err := w.Write(content)
		return err
	}
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// answer remembers whether the answer has begun.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(code int) {
	if a.status == 0 {
		a.status = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}
