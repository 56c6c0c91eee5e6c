package scoring

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// clock replaces time.After: each delay is sent to delays, and ends when turn receives.
type clock struct {
	delays chan time.Duration
	turn   chan time.Time
}

func newClock() *clock {
	return &clock{delays: make(chan time.Duration, 8), turn: make(chan time.Time)}
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.delays <- d
	return c.turn
}

var errFull = Problemf(QueueFull, "full")

func TestRefusalsWaitForTheirTurn(t *testing.T) {
	closed := make(chan struct{})
	r, c := newRefusals(rate.Every(time.Hour), 8, closed), newClock()
	r.after = c.after
	ended := make(chan error)
	wait := func(ctx context.Context) time.Duration {
		go func() { ended <- r.wait(ctx, errFull) }()
		return <-c.delays
	}
	if d := wait(context.Background()); d > tick {
		t.Errorf("the first refusal waits for %v, want at most %v", d, tick)
	}
	c.turn <- time.Time{}
	if err := <-ended; err != nil {
		t.Errorf("at its turn: %v", err)
	}
	if d := wait(context.Background()); d < 59*time.Minute || d > time.Hour+tick {
		t.Errorf("the second refusal waits for %v, want an hour", d)
	}
	r.postpone()
	ctx, cancel := context.WithCancelCause(context.Background())
	if d := wait(ctx); d < 179*time.Minute {
		t.Errorf("the third refusal waits for %v, want three hours", d)
	}
	gone := errors.New("gone")
	cancel(gone)
	if err := <-ended; !errors.Is(err, gone) {
		t.Errorf("a cancelled request: %v", err)
	}
	close(closed)
	if err := <-ended; kind(err) != Draining {
		t.Errorf("a request that waits during shutdown: %v", err)
	}
	if n := len(r.waiting); n != 0 {
		t.Errorf("%d requests still wait", n)
	}
}

func TestWaitingRefusalsAreBounded(t *testing.T) {
	closed := make(chan struct{})
	r, c := newRefusals(1, 2, closed), newClock()
	r.after = c.after
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- r.wait(context.Background(), errFull) }()
		<-c.delays
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // ends the test if the request waits
	if err := r.wait(ctx, errFull); !errors.Is(err, errFull) {
		t.Errorf("the third request of two that may wait: %v, want %v", err, errFull)
	}
	close(closed)
	<-ended
	<-ended
}

// TestRequestIsScoredAtItsTurn checks that a request is not refused if the queue has room when its
// turn to be refused comes.
func TestRequestIsScoredAtItsTurn(t *testing.T) {
	e, err := NewEngine(Limits{
		DefaultModel: "vmaf_v0.6.1", ScratchDir: t.TempDir(), Concurrency: 1, Threads: 1,
		MaxThreads: 1, RequestTimeout: time.Minute, RefusalsPerSecond: 1, MaxConnections: 1,
	}, noObserver{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := newClock()
	e.refusals.after = c.after
	leave, err := e.gate.enter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	try := func() <-chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- e.Do(context.Background(), func(context.Context) error { return nil })
		}()
		<-c.delays
		return ended
	}
	ended := try()
	if n := e.Delayed(); n != 1 {
		t.Errorf("%d requests are delayed, want 1", n)
	}
	c.turn <- time.Time{}
	if err := <-ended; kind(err) != QueueFull {
		t.Errorf("with no free slot: %v", err)
	}
	ended = try()
	leave()
	c.turn <- time.Time{}
	if err := <-ended; err != nil {
		t.Errorf("with a free slot: %v", err)
	}
}
