// Package metrics provides the server's Prometheus metrics.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/scoring"
)

// Metrics holds the metrics of one server. docs/server.md lists them.
type Metrics struct {
	HTTP, GRPC *prometheus.CounterVec
	registry   *prometheus.Registry
	scorings   *prometheus.CounterVec
	frames     prometheus.Counter
	seconds    prometheus.Histogram
}

// New returns the metrics of a server with the given versions.
func New(version, revision, libvmaf string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		HTTP: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vmaf_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"path", "method", "code"}),
		GRPC: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vmaf_grpc_requests_total", Help: "gRPC calls answered.",
		}, []string{"method", "code"}),
		scorings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vmaf_scorings_total", Help: "Requests to score, by interface and outcome.",
		}, []string{"interface", "outcome"}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vmaf_frames_scored_total", Help: "Frame pairs scored.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vmaf_scoring_seconds", Help: "Duration of requests that returned a result.",
			Buckets: prometheus.ExponentialBuckets(0.05, 2.5, 11),
		}),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "vmaf_build_info",
		Help: "Version and revision of the server, and version of libvmaf. The value is always 1.",
	}, []string{"version", "revision", "libvmaf"})
	info.WithLabelValues(version, revision, libvmaf).Set(1)
	m.registry.MustRegister(info, m.HTTP, m.GRPC, m.scorings, m.frames, m.seconds,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds gauges of the engine's current work.
func (m *Metrics) Watch(e *scoring.Engine) {
	gauge := func(name, help string, value func() float64) {
		opts := prometheus.GaugeOpts{Name: name, Help: help}
		m.registry.MustRegister(prometheus.NewGaugeFunc(opts, value))
	}
	gauge("vmaf_scorings_running", "Requests being scored.",
		func() float64 { return float64(e.Running()) })
	gauge("vmaf_scorings_queued", "Requests waiting to be scored.",
		func() float64 { return float64(e.Queued()) })
	gauge("vmaf_refusals_delayed", "Requests waiting to be refused.",
		func() float64 { return float64(e.Delayed()) })
	gauge("vmaf_scratch_bytes", "Bytes of uploads stored in the scratch directory.",
		func() float64 { return float64(e.Scratch.Used()) })
}

// WatchJobs adds gauges of the jobs.
func (m *Metrics) WatchJobs(count func() map[jobs.State]int) {
	for _, state := range []jobs.State{jobs.Queued, jobs.Running, jobs.Done, jobs.Failed} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vmaf_jobs", Help: "Jobs that the server has now, by their state.",
			ConstLabels: prometheus.Labels{"state": string(state)},
		}, func() float64 { return float64(count()[state]) }))
	}
}

// Handler returns an HTTP handler that serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Scored counts frame pairs that were scored.
func (m *Metrics) Scored(frames int) { m.frames.Add(float64(frames)) }

// Finished counts a request by its interface and outcome; p is nil if it succeeded.
func (m *Metrics) Finished(via string, p *scoring.Problem, took time.Duration) {
	outcome := "invalid"
	switch {
	case p == nil:
		outcome = "ok"
		m.seconds.Observe(took.Seconds())
	case p.Kind == scoring.QueueFull, p.Kind == scoring.Draining, p.Kind == scoring.ScratchFull:
		outcome = "refused"
	case p.Kind == scoring.Cancelled:
		outcome = "cancelled"
	case p.Kind == scoring.Internal:
		outcome = "failed"
	}
	m.scorings.WithLabelValues(via, outcome).Inc()
}
