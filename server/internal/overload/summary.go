package overload

import (
	"log/slog"
	"sync"
	"time"
)

// interval is the time between two lines of a Summary.
const interval = time.Second

// Summary logs the number of refused requests, in one line a second while there are any.
type Summary struct {
	log   *slog.Logger
	after func(time.Duration, func()) *time.Timer // time.AfterFunc

	mu    sync.Mutex
	timer *time.Timer // runs while there are requests to log
	count map[string]int
}

// NewSummary returns a summary that is written to log.
func NewSummary(log *slog.Logger) *Summary {
	return &Summary{log: log, after: time.AfterFunc, count: map[string]int{}}
}

// Refused counts a request that an interface, such as "http", has refused.
func (s *Summary) Refused(via string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[via]++
	if s.timer == nil {
		s.timer = s.after(interval, s.Flush)
	}
}

// Flush logs the requests that were refused since the last line.
func (s *Summary) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		return
	}
	s.timer.Stop()
	s.timer = nil
	s.log.Warn("requests refused", "http", s.count["http"], "grpc", s.count["grpc"])
	clear(s.count)
}
