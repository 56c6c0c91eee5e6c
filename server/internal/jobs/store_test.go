package jobs

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"vmaf-images/server/internal/scoring"
)

// closing is an input that counts how often it was closed.
type closing struct{ closed *int }

func (c closing) Name() string            { return "x" }
func (c closing) Open() (*os.File, error) { return nil, os.ErrNotExist }

// closings guards the counters, as workers close inputs at the same time.
var closings sync.Mutex

// Close counts.
func (c closing) Close() error {
	closings.Lock()
	defer closings.Unlock()
	*c.closed++
	return nil
}

// add adds a job to a store.
func add(t *testing.T, m *Memory, closed *int) Job {
	t.Helper()
	place, err := m.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	job := place.Add(closing{closed}, closing{closed}, Options{})
	place.Leave() // as a deferred call does; it has no effect
	return job
}

func take(t *testing.T, m *Memory) *Lease {
	t.Helper()
	lease, err := m.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

var roomy = Keep{Queue: 2, Jobs: 10, Bytes: 1 << 20, For: time.Hour}

func TestQueue(t *testing.T) {
	m, closed := NewMemory(roomy), 0
	first, second := add(t, m, &closed), add(t, m, &closed)
	if first.ID == second.ID || len(first.ID) < 26 {
		t.Errorf("the identifiers %q and %q", first.ID, second.ID)
	}
	full := func() bool {
		place, err := m.Reserve()
		if err == nil {
			place.Leave()
		}
		return scoring.AsProblem(err).Kind == scoring.QueueFull && err != nil
	}
	lease := take(t, m)
	if lease.ID != first.ID || !full() {
		t.Error("a job that was not started has left the queue, or it was not the first one")
	}
	m.Start(first.ID)
	if full() {
		t.Error("a running job is still in the queue")
	}
	m.Progress(first.ID, Progress{Stage: Scoring, Frames: 1, Of: 2})
	if job, ok := m.Get(first.ID); !ok || job.State != Running || job.Progress.Of != 2 {
		t.Errorf("%+v", job)
	}
	m.Finish(first.ID, &Result{}, nil)
	m.Finish(first.ID, nil, scoring.Problemf(scoring.Internal, "a second end"))
	if job, ok := m.Get(first.ID); !ok || job.State != Done || job.Problem != nil {
		t.Errorf("%+v", job)
	}

	place, err := m.Reserve()
	if err != nil || !full() {
		t.Errorf("a reserved place does not count: %v", err)
	}
	place.Leave()
	place.Leave()
	if full() || m.reserved != 0 {
		t.Errorf("%d places are reserved", m.reserved)
	}
}

func TestRemove(t *testing.T) {
	m, closed := NewMemory(roomy), 0
	waiting, taken := add(t, m, &closed), add(t, m, &closed)
	if lease := take(t, m); lease.ID != waiting.ID {
		t.Fatal(lease)
	} else {
		waiting, taken = taken, lease.Job
		if !m.Remove(waiting.ID) || closed != 2 {
			t.Errorf("the %d inputs of a waiting job were closed", closed)
		}
		if !m.Remove(taken.ID) || closed != 2 {
			t.Error("the inputs of a job were closed that a worker has")
		}
		select {
		case <-lease.Removed:
		default:
			t.Error("the worker does not know that its job was removed")
		}
	}
	m.Start(taken.ID)
	m.Progress(taken.ID, Progress{})
	m.Finish(taken.ID, &Result{}, nil)
	if _, ok := m.Get(taken.ID); ok || m.Remove(taken.ID) || m.queued != 0 || m.bytes != 0 ||
		len(m.ended) != 0 {
		t.Errorf("a removed job is back: %+v", m)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an empty queue: %v", err)
	}
}

// TestKeep checks the limits of the jobs that ended.
func TestKeep(t *testing.T) {
	closed := 0
	end := func(m *Memory, frames int) string {
		job := add(t, m, &closed)
		take(t, m)
		m.Start(job.ID)
		r := &Result{Scores: NewScores([]string{"m"}, nil)}
		for range frames {
			r.Scores.Add(Frame{Models: []float64{1}})
		}
		m.Finish(job.ID, r, nil)
		return job.ID
	}
	kept := func(m *Memory, id string) bool { _, ok := m.Get(id); return ok }

	few := roomy
	few.Jobs = 2
	m := NewMemory(few)
	first, second, third := end(m, 1), end(m, 1), end(m, 1)
	if kept(m, first) || !kept(m, second) || !kept(m, third) {
		t.Error("not the oldest job was removed")
	}
	small := roomy
	small.Bytes = 100_000
	m = NewMemory(small)
	first, second = end(m, 1000), end(m, 2000)
	if kept(m, first) || !kept(m, second) || m.bytes > small.Bytes {
		t.Errorf("the results need %d bytes", m.bytes)
	}
	m.Remove(second)
	if m.bytes != 0 {
		t.Errorf("%d bytes without a result", m.bytes)
	}
	short := roomy
	short.For = time.Millisecond
	m = NewMemory(short)
	first = end(m, 1)
	for range 1000 {
		if !kept(m, first) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if kept(m, first) || m.Count()[Done] != 0 {
		t.Error("a job is kept for ever")
	}
}

// TestWorkers runs many jobs with several workers, each of them once.
func TestWorkers(t *testing.T) {
	const jobs = 50
	keep := roomy
	keep.Queue, keep.Jobs = jobs, jobs
	scorer := counting{}
	v := New(Settings{Workers: 3, Timeout: time.Minute, Keep: keep}, newEngine(t), &scorer, discard)
	closed := 0
	for range jobs {
		add(t, v.store.(*Memory), &closed)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { v.Run(ctx); close(ended) }()
	for range 5000 {
		if v.Count()[Done] == jobs {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	if v.Count()[Done] != jobs || scorer.calls != jobs || closed != 2*jobs {
		t.Errorf("%v, %d calls, %d inputs closed", v.Count(), scorer.calls, closed)
	}
}

// counting is a Scorer that counts its calls. The engine has one slot.
type counting struct{ calls int }

func (c *counting) Score(context.Context, Job, func(Progress)) (*Result, error) {
	c.calls++
	return &Result{}, nil
}

// failing is a Scorer that does not return.
type failing struct{}

func (failing) Score(context.Context, Job, func(Progress)) (*Result, error) { panic("a bug") }

func TestPanic(t *testing.T) {
	v := New(Settings{Workers: 1, Timeout: time.Minute, Keep: roomy}, newEngine(t), failing{}, discard)
	closed := 0
	m := v.store.(*Memory)
	job := add(t, m, &closed)
	v.work(context.Background(), take(t, m))
	if got, _ := m.Get(job.ID); got.State != Failed || got.Problem.Kind != scoring.Internal ||
		closed != 2 || v.engine.Running() != 0 {
		t.Errorf("%+v", got)
	}
}
