// Package scoring scores videos. It implements the options, the limits, the queue and the
// scoring for the HTTP and gRPC interfaces.
package scoring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"vmaf-images/server/internal/vmaf"
)

// Limits configures an Engine. The flags of the same names are documented in package config.
type Limits struct {
	DataRoot, ModelDir, ScratchDir string
	DefaultModel                   string
	MaxScratchBytes                int64
	MaxFramePixels, MaxFrames      int
	MaxThreads, Threads            int
	Concurrency, Queue             int
	RefusalsPerSecond              int
	MaxConnections                 int
	RequestTimeout                 time.Duration
}

// Observer receives the events that the metrics count.
type Observer interface {
	// Scored is called when frame pairs were scored.
	Scored(frames int)
	// Finished is called when a request to score ends. The problem is nil if it succeeded.
	Finished(via string, problem *Problem, took time.Duration)
}

// Engine scores videos for all interfaces.
type Engine struct {
	Scratch  *Scratch
	limits   Limits
	gate     *gate
	refusals *refusals
	data     *os.Root
	models   *os.Root
	observer Observer
	draining chan struct{} // closed by drain
	drain    func()
}

// NewEngine returns an engine. It returns an error if a directory or the default model cannot
// be used.
func NewEngine(limits Limits, observer Observer) (*Engine, error) {
	e := &Engine{
		Scratch:  &Scratch{dir: limits.ScratchDir, max: limits.MaxScratchBytes},
		limits:   limits,
		observer: observer,
		draining: make(chan struct{}),
	}
	e.drain = sync.OnceFunc(func() { close(e.draining) })
	e.gate = newGate(limits.Concurrency, limits.Queue, e.draining)
	e.refusals = newRefusals(rate.Limit(limits.RefusalsPerSecond), limits.MaxConnections,
		e.draining)
	for _, dir := range []struct {
		setting, path string
		root          **os.Root
	}{{"data-root", limits.DataRoot, &e.data}, {"model-dir", limits.ModelDir, &e.models}} {
		if dir.path == "" {
			continue
		}
		root, err := os.OpenRoot(dir.path)
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("--%s: %w", dir.setting, err)
		}
		*dir.root = root
	}
	// libvmaf's log level is global, and the first context sets it: none, so that libvmaf
	// does not write to the server's log.
	x, err := vmaf.New(0, 1)
	if err != nil {
		e.Close()
		return nil, err
	}
	x.Close()
	if err := e.Ready(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Close drains the engine and closes its directories.
func (e *Engine) Close() {
	e.drain()
	for _, root := range []*os.Root{e.data, e.models} {
		if root != nil {
			root.Close()
		}
	}
}

// Drain makes the engine refuse all requests that are not being scored yet.
func (e *Engine) Drain() { e.drain() }

// DefaultModel returns the name of the model for requests that name none.
func (e *Engine) DefaultModel() string { return e.limits.DefaultModel }

// MaxFramePixels returns the limit of the pixels of a frame.
func (e *Engine) MaxFramePixels() int { return e.limits.MaxFramePixels }

// MaxFrames returns the limit of the frames of a video.
func (e *Engine) MaxFrames() int { return e.limits.MaxFrames }

// Threads returns the number of threads of libvmaf with the given options.
func (e *Engine) Threads(o Options) int {
	if o.Threads != nil {
		return *o.Threads
	}
	return e.limits.Threads
}

// Accepts returns a Problem if the engine was drained.
func (e *Engine) Accepts() error {
	select {
	case <-e.draining:
		return errDraining
	default:
		return nil
	}
}

// Running returns the number of requests being scored.
func (e *Engine) Running() int { return len(e.gate.slots) }

// Queued returns the number of requests waiting to be scored.
func (e *Engine) Queued() int { return len(e.gate.queue) }

// AwaitRefusal waits for the turn of a request to be refused with the error full, so that clients
// that repeat refused requests at once cannot take much processor time. It then returns nil. It
// returns full at once if too many requests wait already, and another error if the engine is
// drained or ctx is done.
func (e *Engine) AwaitRefusal(ctx context.Context, full error) error {
	return e.refusals.wait(ctx, full)
}

// DelayRefusals delays the next refusal, because BytesOfRefusal of a request that was refused
// had to be read.
func (e *Engine) DelayRefusals() { e.refusals.postpone() }

// Delayed returns the number of requests that wait to be refused.
func (e *Engine) Delayed() int { return len(e.refusals.waiting) }

// Ready returns an error if the engine cannot score requests.
func (e *Engine) Ready() error {
	if err := e.Accepts(); err != nil {
		return err
	}
	m, err := e.loadOne(e.limits.DefaultModel, "ready")
	if err != nil {
		return fmt.Errorf("--default-model: %w", err)
	}
	m.Close()
	if err := e.Scratch.Writable(); err != nil {
		return fmt.Errorf("--scratch-dir: %w", err)
	}
	return nil
}

// Finished reports the outcome of a request to the observer.
func (e *Engine) Finished(via string, err error, took time.Duration) {
	var p *Problem
	if err != nil {
		p = AsProblem(err)
	}
	e.observer.Finished(via, p, took)
}

// WithTimeout returns a context with the time limit of a request.
func (e *Engine) WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, e.limits.RequestTimeout,
		Problemf(Timeout, "the request took longer than %s", e.limits.RequestTimeout))
}

// Do waits for a free slot and then calls score, within the time limit of a request.
func (e *Engine) Do(ctx context.Context, score func(context.Context) error) error {
	ctx, cancel := e.WithTimeout(ctx)
	defer cancel()
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return OfCause(ctx, score(ctx))
}

// DoJob waits for a free slot, however many requests are waiting for one, and then calls score. The
// time limit begins after the wait.
func (e *Engine) DoJob(ctx context.Context, timeout time.Duration,
	score func(context.Context) error,
) error {
	leave, err := e.gate.wait(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout,
		Problemf(Timeout, "the job took longer than %s", timeout))
	defer cancel()
	return OfCause(ctx, score(ctx))
}

// OfCause returns the cause if the context was cancelled: err is then only a consequence.
func OfCause(ctx context.Context, err error) error {
	var cause *Problem
	if err != nil && errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return err
}

// enter waits for a free slot and takes it. If the queue is full, it waits for the turn of the
// request to be refused, and refuses it if the queue is still full then.
func (e *Engine) enter(ctx context.Context) (leave func(), err error) {
	leave, err = e.gate.enter(ctx)
	if err == nil || AsProblem(err).Kind != QueueFull {
		return leave, err
	}
	if err := e.AwaitRefusal(ctx, err); err != nil {
		return nil, err
	}
	return e.gate.enter(ctx)
}

// Check returns an error if the options are invalid. It does not look for the models.
func (e *Engine) Check(o Options) error {
	_, err := e.plan(o)
	return err
}

// ScorePaths scores two files under the data root. See Score for emit.
func (e *Engine) ScorePaths(ctx context.Context, r PathRequest, emit Emit) (*Result, error) {
	ref, err := e.OpenData("reference", r.Reference)
	if err != nil {
		return nil, err
	}
	defer ref.Close()
	dist, err := e.OpenData("distorted", r.Distorted)
	if err != nil {
		return nil, err
	}
	defer dist.Close()
	refY4M, err := e.Open("reference", ref)
	if err != nil {
		return nil, err
	}
	distY4M, err := e.Open("distorted", dist)
	if err != nil {
		return nil, err
	}
	pairs, err := Y4MPairs(refY4M, distY4M)
	if err != nil {
		return nil, err
	}
	var options Options
	if r.Options != nil {
		options = *r.Options
	}
	return e.Score(ctx, options, pairs, emit)
}
