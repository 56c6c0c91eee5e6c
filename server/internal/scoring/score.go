package scoring

import (
	"context"
	"errors"
	"io"
	"time"

	"vmaf-images/server/internal/vmaf"
	"vmaf-images/server/internal/y4m"
)

// Frame holds the scores of one frame pair.
type Frame struct {
	Index            int
	Models, Features []Value
}

// Value is a named score.
type Value struct {
	Name  string
	Value float64
}

// Pooled maps the requested pooling methods to the pooled values of a series.
type Pooled map[string]float64

// ModelResult is the score of a model. Stddev, Low and High are nil unless the model is a
// collection.
type ModelResult struct {
	Name              string
	Pooled            Pooled
	Stddev, Low, High Pooled
}

// FeatureResult is one series of a feature.
type FeatureResult struct {
	Name   string
	Pooled Pooled
}

// Result is the result of a request.
type Result struct {
	Format             y4m.Format
	Frames, Scored     int
	Subsample, Threads int
	Models             []ModelResult
	Features           []FeatureResult
	Took               time.Duration
}

// Emit is called with the scores of one frame.
type Emit func(context.Context, Frame) error

// run is the state of one call of Score.
type run struct {
	plan
	x        *vmaf.Context
	loaded   []*vmaf.Model
	emit     Emit
	read     int // frame pairs passed to libvmaf
	emitted  int // the next frame to emit
	observer Observer
}

// Score scores pairs of frames. If emit is not nil, it is called with the scores of each
// frame, in order and as soon as they are known. It is called in a separate goroutine, so a
// slow receiver does not delay the reading. Scores that wait for emit need no memory, as
// libvmaf stores them anyway.
func (e *Engine) Score(ctx context.Context, o Options, pairs Pairs, emit Emit) (*Result, error) {
	start := time.Now()
	p, err := e.plan(o)
	if err != nil {
		return nil, err
	}
	format := pairs.Format()
	if err := e.checkPixels(format); err != nil {
		return nil, err
	}
	models, err := e.load(p.models)
	if err != nil {
		return nil, err
	}
	defer closeAll(models)
	if err := vmaf.CheckSize(format, p.models, p.features); err != nil {
		return nil, Problemf(NotScorable, "libvmaf cannot score this: %w", err)
	}
	x, err := vmaf.New(p.threads, p.subsample)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	r := &run{plan: p, x: x, loaded: models, emit: emit, observer: e.observer}
	if err := r.prepare(format); err != nil {
		return nil, err
	}
	if err := r.readAll(ctx, pairs, e.limits.MaxFrames); err != nil {
		return nil, err
	}
	result, err := r.result()
	if err != nil {
		return nil, err
	}
	result.Format, result.Took = format, time.Since(start)
	return result, nil
}

// prepare selects the features to compute and allocates the pictures.
func (r *run) prepare(format y4m.Format) error {
	for i, m := range r.loaded {
		if err := r.x.Use(m); err != nil {
			return Problemf(BadOptions, "model %q: %w", r.models[i], err)
		}
	}
	for _, f := range r.features {
		if err := r.x.UseFeature(f); err != nil {
			return Problemf(BadOptions, "feature %q: %w", f, err)
		}
	}
	return r.x.Allocate(format, r.threads)
}

// readAll passes all pairs to libvmaf and emits their scores.
func (r *run) readAll(ctx context.Context, pairs Pairs, maxFrames int) error {
	if r.emit == nil {
		return r.readPairs(ctx, pairs, maxFrames, func(int) {})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The latest number of pairs that were read. A newer number replaces the older one.
	progress := make(chan int, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.emitKnown(ctx, progress); err != nil {
			cancel(err)
		}
	}()
	err := r.readPairs(ctx, pairs, maxFrames, func(n int) {
		select {
		case <-progress:
		default:
		}
		progress <- n
	})
	if err != nil {
		cancel(err)
	}
	close(progress)
	<-done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// The last scores of features that look ahead are available only now.
	return r.emitUpTo(ctx, r.read, true)
}

// readPairs passes all pairs to libvmaf. After each one, it calls progress with the number of
// pairs so far.
func (r *run) readPairs(ctx context.Context, pairs Pairs, maxFrames int, progress func(int)) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := pairs.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if r.read == maxFrames {
			return Problemf(TooLarge, "the videos have more frames than the limit of %d", maxFrames)
		}
		if err := r.readPair(pairs); err != nil {
			return err
		}
		if r.read%r.subsample == 0 {
			r.observer.Scored(1)
		}
		r.read++
		progress(r.read)
	}
	if r.read == 0 {
		return Problemf(BadVideo, "the videos have no frames")
	}
	if err := r.x.Flush(); err != nil {
		return Problemf(NotScorable,
			"libvmaf cannot score these videos with these options: %w", err)
	}
	return nil
}

func (r *run) readPair(pairs Pairs) error {
	ref, err := r.x.Fetch(pairs.Format())
	if err != nil {
		return err
	}
	defer ref.Release()
	dist, err := r.x.Fetch(pairs.Format())
	if err != nil {
		return err
	}
	defer dist.Release()
	if err := pairs.Read(ref.Frame(), dist.Frame()); err != nil {
		return err
	}
	if err := r.x.Read(ref, dist, r.read); err != nil {
		return Problemf(NotScorable,
			"libvmaf cannot score frame %d with these options: %w", r.read, err)
	}
	return nil
}

// emitKnown emits frames while pairs are read, until progress is closed. As the worker
// threads finish a frame some time after it was read, it also polls.
func (r *run) emitKnown(ctx context.Context, progress <-chan int) error {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	read := 0
	for {
		select {
		case n, open := <-progress:
			if !open {
				return nil
			}
			read = n
		case <-poll.C:
		}
		if err := r.emitUpTo(ctx, read, false); err != nil {
			return err
		}
	}
}

// emitUpTo emits the frames below n. At a frame whose scores are not known, it returns an
// error if all is set, and stops otherwise.
func (r *run) emitUpTo(ctx context.Context, n int, all bool) error {
	for r.emitted < n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		frame, known := r.frame(r.emitted)
		if !known && !all {
			return nil
		}
		if !known {
			return notScored(r.emitted)
		}
		if err := r.emit(ctx, frame); err != nil {
			return err
		}
		r.emitted += r.subsample
	}
	return nil
}

func notScored(index int) error {
	return Problemf(NotScorable, "libvmaf returned no score for frame %d; "+
		"the frames may be too small for these models and features", index)
}

// predict computes the scores of all models for a frame, and reports whether they are known.
func (r *run) predict(index int) bool {
	for _, m := range r.loaded {
		if !m.Predict(r.x, index) {
			return false
		}
	}
	return true
}

// frame returns the scores of a frame, and whether all of them are known.
func (r *run) frame(index int) (Frame, bool) {
	f := Frame{Index: index}
	if !r.predict(index) {
		return f, false
	}
	for i, m := range r.loaded {
		v, known := r.x.Score(m.Series, index)
		if !known {
			return f, false
		}
		f.Models = append(f.Models, Value{Name: r.models[i], Value: v})
	}
	for _, feature := range r.features {
		for _, series := range vmaf.Features[feature] {
			v, known := r.x.Score(series.ID, index)
			if !known {
				return f, false
			}
			f.Features = append(f.Features, Value{Name: series.Name, Value: v})
		}
	}
	return f, true
}

// result pools the scores of all frames.
func (r *run) result() (*Result, error) {
	result := &Result{Frames: r.read, Subsample: r.subsample, Threads: r.threads}
	for index := 0; index < r.read; index += r.subsample {
		if !r.predict(index) {
			return nil, notScored(index)
		}
		result.Scored++
	}
	for i, m := range r.loaded {
		model := ModelResult{Name: r.models[i]}
		for _, s := range []struct {
			series string
			into   *Pooled
		}{
			{m.Series, &model.Pooled},
			{m.Stddev, &model.Stddev},
			{m.Low, &model.Low},
			{m.High, &model.High},
		} {
			if s.series == "" {
				continue
			}
			var err error
			if *s.into, err = r.pool(s.series); err != nil {
				return nil, err
			}
		}
		result.Models = append(result.Models, model)
	}
	for _, feature := range r.features {
		for _, series := range vmaf.Features[feature] {
			pooled, err := r.pool(series.ID)
			if err != nil {
				return nil, err
			}
			result.Features = append(result.Features,
				FeatureResult{Name: series.Name, Pooled: pooled})
		}
	}
	return result, nil
}

func (r *run) pool(series string) (Pooled, error) {
	pooled := Pooled{}
	for _, name := range r.pooling {
		v, err := r.x.Pooled(series, Methods[name], r.read-1)
		if err != nil {
			return nil, Problemf(NotScorable, "libvmaf returned no pooled score for %s: %w",
				series, err)
		}
		pooled[name] = v
	}
	return pooled, nil
}
