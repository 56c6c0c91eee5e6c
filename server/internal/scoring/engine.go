// Package scoring is what the interfaces share: the options, the limits, the
// queue, and the scoring itself.
package scoring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"vmaf-images/server/internal/vmaf"
)

const openNonblock = syscall.O_NONBLOCK

// Limits bound what requests may take.
type Limits struct {
	DataRoot, ModelDir, ScratchDir string
	DefaultModel                   string
	MaxScratchBytes                int64
	MaxFramePixels, MaxFrames      int
	MaxThreads, Threads            int
	Concurrency, Queue             int
	RequestTimeout                 time.Duration
}

// Observer is told what happens; metrics are made of it.
type Observer interface {
	// Scored counts frame pairs.
	Scored(frames int)
	// Finished gives the outcome of one request to score, nil if it has a result.
	Finished(via string, kind *Problem, took time.Duration)
}

// Engine scores, for every interface.
type Engine struct {
	Scratch  *Scratch
	limits   Limits
	gate     *gate
	data     *os.Root
	models   *os.Root
	observer Observer
	draining context.Context
	drain    context.CancelFunc
}

// NewEngine opens the folders and loads the default model.
func NewEngine(limits Limits, observer Observer) (*Engine, error) {
	e := &Engine{limits: limits, observer: observer, Scratch: &Scratch{dir: limits.ScratchDir, max: limits.MaxScratchBytes}}
	e.draining, e.drain = context.WithCancel(context.Background())
	e.gate = newGate(limits.Concurrency, limits.Queue, e.draining.Done())
	for _, folder := range []struct {
		setting, path string
		root          **os.Root
	}{{"data-root", limits.DataRoot, &e.data}, {"model-dir", limits.ModelDir, &e.models}} {
		if folder.path == "" {
			continue
		}
		root, err := os.OpenRoot(folder.path)
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("--%s: %w", folder.setting, err)
		}
		*folder.root = root
	}
	// The first context also tells libvmaf not to write to our log.
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

// Close closes the folders.
func (e *Engine) Close() {
	e.drain()
	for _, root := range []*os.Root{e.data, e.models} {
		if root != nil {
			root.Close()
		}
	}
}

// Drain refuses what is not yet being scored.
func (e *Engine) Drain() { e.drain() }

// DefaultModel scores where a request names none.
func (e *Engine) DefaultModel() string { return e.limits.DefaultModel }

// Running and Queued are how many requests have a place, and wait for one.
func (e *Engine) Running() int { return len(e.gate.places) }

// Queued is how many requests wait.
func (e *Engine) Queued() int { return len(e.gate.queue) }

// Ready tells why the engine cannot score, if so.
func (e *Engine) Ready() error {
	if e.draining.Err() != nil {
		return Problemf(Draining, "the server shuts down")
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

// Finished tells the observer how a request to score ended.
func (e *Engine) Finished(via string, err error, took time.Duration) {
	var p *Problem
	if err != nil {
		p = AsProblem(err)
	}
	e.observer.Finished(via, p, took)
}

// Do runs one request to score, given by its own part, once it has a place, and
// within its time.
func (e *Engine) Do(ctx context.Context, score func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.limits.RequestTimeout,
		Problemf(Timeout, "it took longer than %s", e.limits.RequestTimeout))
	defer cancel()
	leave, err := e.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	err = score(ctx)
	// Where the work was cut off, what it then fell over is of no interest.
	var why *Problem
	if err != nil && errors.As(context.Cause(ctx), &why) {
		return why
	}
	return err
}

// ScorePaths scores two files under the data root.
func (e *Engine) ScorePaths(ctx context.Context, r PathRequest, emit Emit) (*Result, error) {
	ref, err := e.openData("reference", r.Reference)
	if err != nil {
		return nil, err
	}
	defer ref.Close()
	dist, err := e.openData("distorted", r.Distorted)
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
