package overload

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	s := NewSummary(slog.New(slog.NewJSONHandler(&out, nil)))
	timers := 0
	var flush func()
	s.after = func(_ time.Duration, f func()) *time.Timer {
		timers++
		flush = f
		return time.NewTimer(time.Hour)
	}
	for range 2 {
		for range 1000 {
			s.Refused("http")
		}
		s.Refused("grpc")
	}
	if out.Len() != 0 || timers != 1 {
		t.Errorf("%d timers, and log %s, before the interval ends", timers, &out)
	}
	flush()
	s.Flush() // has nothing to log
	var line struct {
		Level, Msg string
		HTTP, GRPC int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Level != "WARN" ||
		line.Msg != "requests refused" || line.HTTP != 2000 || line.GRPC != 2 {
		t.Errorf("%s: %v", &out, err)
	}
	out.Reset()
	s.Refused("grpc")
	s.Flush()
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || timers != 2 || line.HTTP != 0 ||
		line.GRPC != 1 {
		t.Errorf("%d timers, %s: %v", timers, &out, err)
	}
}
