package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vmaf-images/server/internal/scoring"
)

func TestOutcomes(t *testing.T) {
	m := New("1", "abc", "3")
	m.Scored(2)
	m.Finished("http", nil, time.Second)
	for _, kind := range []scoring.Kind{
		scoring.QueueFull, scoring.Draining, scoring.ScratchFull, scoring.Cancelled,
		scoring.Internal, scoring.BadVideo, scoring.Timeout,
	} {
		m.Finished("grpc", &scoring.Problem{Kind: kind}, time.Second)
	}
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`vmaf_build_info{libvmaf="3",revision="abc",version="1"} 1`,
		`vmaf_frames_scored_total 2`,
		`vmaf_scoring_seconds_count 1`,
		`vmaf_scorings_total{interface="http",outcome="ok"} 1`,
		`vmaf_scorings_total{interface="grpc",outcome="refused"} 3`,
		`vmaf_scorings_total{interface="grpc",outcome="cancelled"} 1`,
		`vmaf_scorings_total{interface="grpc",outcome="failed"} 1`,
		`vmaf_scorings_total{interface="grpc",outcome="invalid"} 2`,
	} {
		if !strings.Contains(recorder.Body.String(), line+"\n") {
			t.Errorf("the metrics have no line %s", line)
		}
	}
}
