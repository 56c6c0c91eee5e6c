package jobs

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"vmaf-images/server/internal/scoring"
)

// Store keeps jobs: those that wait, those that run, and for some time those that ended.
type Store interface {
	// Reserve keeps a place in the queue. It returns a Problem if the queue is full.
	Reserve() (Place, error)
	// Next waits for the oldest job that is queued, and removes it from the queue.
	Next(ctx context.Context) (*Lease, error)
	// Start marks a leased job as running, Progress reports how far it is, and Finish ends it. The
	// problem is nil if it is done. For a job that was removed, they do nothing.
	Start(id string)
	Progress(id string, p Progress)
	Finish(id string, r *Result, p *scoring.Problem)
	// Get returns a job, and whether there is one.
	Get(id string) (Job, bool)
	// Remove cancels and removes a job, and reports whether there was one.
	Remove(id string) bool
	// Count returns the number of jobs in each state.
	Count() map[State]int
}

// Place is a place in the queue.
type Place interface {
	// Add adds a job, and returns it with its identifier.
	Add(reference, distorted Input, o Options) Job
	// Leave gives up the place, unless a job was added.
	Leave()
}

// Lease is a job that a worker has taken.
type Lease struct {
	Job
	// Removed is closed if the job is removed.
	Removed <-chan struct{}
}

// Keep limits what a store keeps.
type Keep struct {
	// Queue is the number of jobs that wait.
	Queue int
	// Jobs is the number of jobs that ended, and Bytes the memory of their results.
	Jobs  int
	Bytes int64
	// For is the time that a job is kept after its end.
	For time.Duration
}

// Memory is a Store of one process. Of the jobs that ended, it removes the oldest ones if there are
// too many.
type Memory struct {
	keep Keep
	wake chan struct{}

	mu       sync.Mutex
	jobs     map[string]*entry
	queue    []*entry
	ended    []*entry // in the order of their ends
	reserved int
	queued   int // jobs whose state is Queued, also those that a worker has taken
	bytes    int64
}

type entry struct {
	Job
	removed chan struct{}
	expiry  *time.Timer
	bytes   int64
}

// NewMemory returns an empty store.
func NewMemory(k Keep) *Memory {
	return &Memory{keep: k, wake: make(chan struct{}, 1), jobs: map[string]*entry{}}
}

type place struct {
	store *Memory
	left  bool
}

// Reserve implements Store.
func (m *Memory) Reserve() (Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queued+m.reserved >= m.keep.Queue {
		return nil, scoring.Problemf(scoring.QueueFull,
			"%d jobs are waiting or being uploaded, which is the limit; try again later", m.keep.Queue)
	}
	m.reserved++
	return &place{store: m}, nil
}

// Leave implements Place.
func (p *place) Leave() {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.leave()
}

func (p *place) leave() {
	if !p.left {
		p.left = true
		p.store.reserved--
	}
}

// Add implements Place.
func (p *place) Add(reference, distorted Input, o Options) Job {
	m := p.store
	m.mu.Lock()
	defer m.mu.Unlock()
	p.leave()
	e := &entry{removed: make(chan struct{}), Job: Job{
		// 26 characters of base 32 have 130 random bits.
		ID: rand.Text(), State: Queued, Created: time.Now(),
		Reference: reference, Distorted: distorted, Options: o,
	}}
	m.jobs[e.ID] = e
	m.queue = append(m.queue, e)
	m.queued++
	m.notify()
	return e.Job
}

// notify wakes one of the calls of Next.
func (m *Memory) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Next implements Store.
func (m *Memory) Next(ctx context.Context) (*Lease, error) {
	for {
		if lease := m.take(); lease != nil {
			return lease, nil
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (m *Memory) take() *Lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return nil
	}
	e := m.queue[0]
	m.queue = slices.Delete(m.queue, 0, 1)
	if len(m.queue) > 0 {
		m.notify() // for another worker, as a notification may stand for several jobs
	}
	return &Lease{Job: e.Job, Removed: e.removed}
}

// Start implements Store.
func (m *Memory) Start(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.jobs[id]; e != nil && e.State == Queued {
		m.queued--
		e.State, e.Started = Running, time.Now()
	}
}

// Progress implements Store.
func (m *Memory) Progress(id string, p Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.jobs[id]; e != nil && e.State == Running {
		e.Job.Progress = p
	}
}

// Finish implements Store.
func (m *Memory) Finish(id string, r *Result, p *scoring.Problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.jobs[id]
	if e == nil || e.State != Queued && e.State != Running {
		return
	}
	if e.State == Queued { // it failed before it was started
		m.queued--
	}
	e.State, e.Result, e.Problem = Done, r, p
	if p != nil {
		e.State, e.Result = Failed, nil
	}
	e.Ended = time.Now()
	e.Expires = e.Ended.Add(m.keep.For)
	e.bytes = e.Result.bytes()
	e.expiry = time.AfterFunc(m.keep.For, func() { m.Remove(id) })
	m.bytes += e.bytes
	m.ended = append(m.ended, e)
	for len(m.ended) > 0 && (len(m.ended) > m.keep.Jobs || m.bytes > m.keep.Bytes) {
		m.remove(m.ended[0])
	}
}

// Get implements Store.
func (m *Memory) Get(id string) (Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.jobs[id]
	if e == nil {
		return Job{}, false
	}
	return e.Job, true
}

// Remove implements Store.
func (m *Memory) Remove(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.jobs[id]
	if e == nil {
		return false
	}
	m.remove(e)
	return true
}

func (m *Memory) remove(e *entry) {
	delete(m.jobs, e.ID)
	if i := slices.Index(m.queue, e); i >= 0 {
		m.queue = slices.Delete(m.queue, i, i+1)
		// No worker has it, which would close its inputs.
		_, _ = e.Reference.Close(), e.Distorted.Close()
	}
	if e.State == Queued {
		m.queued--
	}
	if i := slices.Index(m.ended, e); i >= 0 {
		m.ended = slices.Delete(m.ended, i, i+1)
		m.bytes -= e.bytes
		e.expiry.Stop()
	}
	close(e.removed)
}

// Count implements Store.
func (m *Memory) Count() map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := map[State]int{Queued: 0, Running: 0, Done: 0, Failed: 0}
	for _, e := range m.jobs {
		count[e.State]++
	}
	return count
}
