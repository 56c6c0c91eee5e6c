// Package metrics counts what the server does, for Prometheus.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vmaf-images/server/internal/scoring"
)

// Metrics are the server's; docs/server.md lists them.
type Metrics struct {
	HTTP, GRPC *prometheus.CounterVec
	registry   *prometheus.Registry
	scorings   *prometheus.CounterVec
	frames     prometheus.Counter
	seconds    prometheus.Histogram
}

// New makes the metrics of one server.
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
			Name: "vmaf_scorings_total", Help: "Requests to score, by how they ended.",
		}, []string{"interface", "outcome"}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vmaf_frames_scored_total", Help: "Frame pairs scored.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vmaf_scoring_seconds", Help: "Time that requests took which gave a result.",
			Buckets: prometheus.ExponentialBuckets(0.05, 2.5, 11),
		}),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "vmaf_build_info", Help: "What this server is.",
	}, []string{"version", "revision", "libvmaf"})
	info.WithLabelValues(version, revision, libvmaf).Set(1)
	m.registry.MustRegister(info, m.HTTP, m.GRPC, m.scorings, m.frames, m.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch shows what an engine has under way.
func (m *Metrics) Watch(e *scoring.Engine) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("vmaf_scorings_running", "Places taken.", func() float64 { return float64(e.Running()) })
	gauge("vmaf_scorings_queued", "Requests waiting for a place.", func() float64 { return float64(e.Queued()) })
	gauge("vmaf_scratch_bytes", "Bytes of uploads kept.", func() float64 { return float64(e.Scratch.Used()) })
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Scored counts frame pairs.
func (m *Metrics) Scored(frames int) { m.frames.Add(float64(frames)) }

// Finished counts a request by its outcome.
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
