package scoring

import (
	"context"
	"errors"
	"io"
	"time"

	"vmaf-images/server/internal/vmaf"
	"vmaf-images/server/internal/y4m"
)

// Frame is the scores of one frame pair.
type Frame struct {
	Index            int
	Models, Features []Value
}

// Value is a number with its name.
type Value struct {
	Name  string
	Value float64
}

// Pooled is a series by the pooling methods that were asked for.
type Pooled map[string]float64

// ModelResult is a model's score; of a collection also its spread.
type ModelResult struct {
	Name              string
	Pooled            Pooled
	Stddev, Low, High Pooled
}

// FeatureResult is a feature's score.
type FeatureResult struct {
	Name   string
	Pooled Pooled
}

// Result is the answer.
type Result struct {
	Format             y4m.Format
	Frames, Scored     int
	Subsample, Threads int
	Models             []ModelResult
	Features           []FeatureResult
	Took               time.Duration
}

// Emit takes the scores of one frame.
type Emit func(context.Context, Frame) error

// run is one scoring on its way.
type run struct {
	plan
	x        *vmaf.Context
	loaded   []*vmaf.Model
	emit     Emit
	read     int // frame pairs given to libvmaf
	emitted  int // the next frame to emit
	observer Observer
}

// Score scores pairs of frames. Where emit is given, it gets the scores of each
// frame in order, as soon as they are known, in a goroutine of its own: a slow
// receiver does not hold up the reading, and nothing is kept for it but what
// libvmaf has anyway.
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

// readAll gives libvmaf all pairs, and emits their scores beside that.
func (r *run) readAll(ctx context.Context, pairs Pairs, maxFrames int) error {
	if r.emit == nil {
		return r.readPairs(ctx, pairs, maxFrames, func(int) {})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	known := make(chan int, 1) // how many pairs were read; only the newest matters
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.emitKnown(ctx, known); err != nil {
			cancel(err)
		}
	}()
	err := r.readPairs(ctx, pairs, maxFrames, func(n int) {
		select {
		case <-known:
		default:
		}
		known <- n
	})
	if err != nil {
		cancel(err)
	}
	close(known)
	<-done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// What the last frames look ahead to is known only now.
	return r.emitUpTo(ctx, r.read, true)
}

func (r *run) readPairs(ctx context.Context, pairs Pairs, maxFrames int, progress func(int)) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := pairs.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if r.read == maxFrames {
			return Problemf(TooLarge, "there are more frames than the limit of %d", maxFrames)
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
		return Problemf(BadVideo, "the videos have no frame")
	}
	if err := r.x.Flush(); err != nil {
		return Problemf(NotScorable, "libvmaf cannot score these videos with these options: %w", err)
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
		return Problemf(NotScorable, "libvmaf cannot score frame %d with these options: %w", r.read, err)
	}
	return nil
}

// emitKnown emits as pairs are read; as the workers finish later, it also looks
// again while none is.
func (r *run) emitKnown(ctx context.Context, known <-chan int) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	read := 0
	for {
		select {
		case n, open := <-known:
			if !open {
				return nil
			}
			read = n
		case <-again.C:
		}
		if err := r.emitUpTo(ctx, read, false); err != nil {
			return err
		}
	}
}

// emitUpTo emits frames below n, all of them or those that are known.
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
	return Problemf(NotScorable, "libvmaf gives no score of frame %d: the frames may be too small for these models and features", index)
}

func (r *run) predict(index int) bool {
	for _, m := range r.loaded {
		if !m.Predict(r.x, index) {
			return false
		}
	}
	return true
}

// frame returns the scores of one frame, if all are known.
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
		f.Models = append(f.Models, Value{r.models[i], v})
	}
	for _, feature := range r.features {
		for _, series := range vmaf.Features[feature] {
			v, known := r.x.Score(series.ID, index)
			if !known {
				return f, false
			}
			f.Features = append(f.Features, Value{series.Name, v})
		}
	}
	return f, true
}

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
		}{{m.Series, &model.Pooled}, {m.Stddev, &model.Stddev}, {m.Low, &model.Low}, {m.High, &model.High}} {
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
			result.Features = append(result.Features, FeatureResult{series.Name, pooled})
		}
	}
	return result, nil
}

func (r *run) pool(series string) (Pooled, error) {
	pooled := Pooled{}
	for _, name := range r.pooling {
		v, err := r.x.Pooled(series, Methods[name], r.read-1)
		if err != nil {
			return nil, Problemf(NotScorable, "libvmaf gives no %s: %w", series, err)
		}
		pooled[name] = v
	}
	return pooled, nil
}
