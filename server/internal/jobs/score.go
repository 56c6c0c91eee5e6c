package jobs

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/scoring"
)

// Decoder is a Scorer that decodes ordinary video with FFmpeg, in a sandbox.
type Decoder struct {
	engine   *scoring.Engine
	programs media.Programs
	// Version is the version of FFmpeg.
	Version string
}

// ErrNotFound says that a program of FFmpeg is not installed.
var ErrNotFound = exec.ErrNotFound

// NewDecoder returns a decoder. It returns ErrNotFound if a program is a name that is not on PATH,
// and another error if it cannot be started in the sandbox.
func NewDecoder(ctx context.Context, s Settings, e *scoring.Engine) (*Decoder, error) {
	d := &Decoder{engine: e, programs: media.Programs{
		Sandbox: s.Decoder.Command(),
		Limits: media.Limits{Pixels: e.MaxFramePixels(), Frames: e.MaxFrames(), Duration: s.Duration,
			CPU: s.Decoder.CPU},
	}}
	for _, program := range []struct {
		setting, name string
		path          *string
	}{{"ffmpeg", s.FFmpeg, &d.programs.FFmpeg}, {"ffprobe", s.FFprobe, &d.programs.FFprobe}} {
		found, err := exec.LookPath(program.name)
		if err == nil {
			*program.path, err = filepath.Abs(found)
		}
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", program.setting, err)
		}
	}
	var err error
	if d.Version, err = d.programs.Version(ctx); err != nil {
		return nil, fmt.Errorf("--ffmpeg: %w", err)
	}
	return d, nil
}

// Score decodes, aligns and scores the videos of a job.
func (d *Decoder) Score(ctx context.Context, job Job, progress func(Progress)) (*Result, error) {
	programs := d.programs
	programs.Threads = max(1, d.engine.Threads(job.Options.Options))
	ref, closeRef, err := d.read(ctx, programs, job.Reference, "the reference",
		stage(progress, ReadingReference, 0))
	defer closeRef()
	if err != nil {
		return nil, problemOf(err)
	}
	dist, closeDist, err := d.read(ctx, programs, job.Distorted, "the distorted video",
		stage(progress, ReadingDistorted, 0))
	defer closeDist()
	if err != nil {
		return nil, problemOf(err)
	}
	options, plan, err := d.plan(job.Options, ref, dist)
	if err != nil {
		return nil, problemOf(err)
	}
	result := &Result{
		Reference: Video{ref.Video, job.Reference.Name(), ref.Count()},
		Distorted: Video{dist.Video, job.Distorted.Name(), dist.Count()},
		Notes:     plan.Notes,
	}
	result.Scores = NewScores(options.Models, nil)
	distGraph, refGraph := plan.Graphs(dist, ref)
	refFrames, err := programs.Convert(ctx, ref.Video, refGraph)
	if err != nil {
		return nil, err
	}
	defer refFrames.Close()
	distFrames, err := programs.Convert(ctx, dist.Video, distGraph)
	if err != nil {
		return nil, err
	}
	defer distFrames.Close()
	pairs, err := d.open(refFrames, distFrames)
	if err != nil {
		return nil, problemOf(err)
	}
	count := &counted{Pairs: pairs, seen: stage(progress, Scoring, len(plan.Pairs))}
	result.Result, err = d.engine.Score(ctx, options, count, result.collect(plan))
	if err != nil {
		return nil, problemOf(err)
	}
	if result.Frames != len(plan.Pairs) {
		return nil, fmt.Errorf("%d pairs of frames were scored instead of %d", result.Frames,
			len(plan.Pairs))
	}
	return result, nil
}

// stage returns a function that reports the number of frames of a stage.
func stage(progress func(Progress), s Stage, of int) func(int) {
	progress(Progress{Stage: s, Of: of})
	return func(frames int) { progress(Progress{Stage: s, Frames: frames, Of: of}) }
}

// read decodes a video once. The returned function closes its file, and must be called.
func (d *Decoder) read(ctx context.Context, programs media.Programs, input Input, name string,
	seen func(int),
) (pairing.Video, func(), error) {
	file, err := input.Open()
	if err != nil {
		return pairing.Video{}, func() {}, err
	}
	release := func() { file.Close() }
	described, err := programs.Probe(ctx, media.Source{Name: name, File: file})
	if err != nil {
		return pairing.Video{}, release, err
	}
	frames, err := programs.Decode(ctx, described, seen)
	return pairing.Video{Video: described, Frames: frames}, release, err
}

// plan aligns the videos, and returns the options with the names of libvmaf's models.
func (d *Decoder) plan(o Options, ref, dist pairing.Video) (scoring.Options, *pairing.Plan, error) {
	options := o.Options
	names := o.Models
	if names == nil {
		names = []string{d.engine.DefaultModel()}
	}
	options.Models = nil
	for _, name := range names {
		model, err := pairing.ChooseModel(name, ref.Video, pairing.FrameRate(ref.Frames))
		if err != nil {
			return options, nil, scoring.Problemf(scoring.BadOptions, "%w", err)
		}
		options.Models = append(options.Models, model.Name)
	}
	how, err := o.pairing(options.Models[0])
	if err != nil {
		return options, nil, err
	}
	plan, err := pairing.Make(ref, dist, how)
	return options, plan, err
}

// open reads the headers of both videos.
func (d *Decoder) open(refFrames, distFrames *media.Converted) (scoring.Pairs, error) {
	ref, err := d.engine.Open("reference", refFrames)
	if err != nil {
		return nil, err
	}
	dist, err := d.engine.Open("distorted", distFrames)
	if err != nil {
		return nil, err
	}
	return scoring.Y4MPairs(ref, dist)
}

// collect returns a function that stores the scores of a frame.
func (r *Result) collect(plan *pairing.Plan) scoring.Emit {
	return func(_ context.Context, f scoring.Frame) error {
		if r.Scores.Count() == 0 {
			r.Scores.Features = names(f.Features)
		}
		pair := plan.Pairs[f.Index]
		r.Scores.Add(Frame{Pair: f.Index, Reference: pair.Ref, Distorted: pair.Dist,
			Time: plan.Times[f.Index], Models: numbers(f.Models), Features: numbers(f.Features)})
		return nil
	}
}

func names(values []scoring.Value) []string {
	var list []string
	for _, v := range values {
		list = append(list, v.Name)
	}
	return list
}

func numbers(values []scoring.Value) []float64 {
	var list []float64
	for _, v := range values {
		list = append(list, v.Value)
	}
	return list
}

// counted reports how many pairs were read.
type counted struct {
	scoring.Pairs
	seen func(int)
	read int
}

func (c *counted) Next(ctx context.Context) error {
	err := c.Pairs.Next(ctx)
	if err == nil {
		c.read++
		c.seen(c.read)
	}
	return err
}

// problemOf converts the errors of packages media and pairing to Problems.
func problemOf(err error) error {
	var file *media.FileError
	var refusal *pairing.Refusal
	switch {
	case errors.As(err, &file) && errors.Is(err, media.ErrLimit):
		return scoring.Problemf(scoring.TooLarge, "%w", err)
	case errors.As(err, &file) && errors.Is(err, media.ErrTime):
		return scoring.Problemf(scoring.Timeout, "%w", err)
	case errors.As(err, &file):
		return scoring.Problemf(scoring.BadVideo, "%w", err)
	case errors.As(err, &refusal) && refusal.Check == pairing.Size:
		return scoring.Problemf(scoring.NotScorable, "%s", refusal.Reason)
	case errors.As(err, &refusal):
		p := scoring.Problemf(scoring.VideosDiffer, "%s", refusal.Reason)
		if way, allowed := pairing.Checks[refusal.Check]; allowed {
			p.Check = string(refusal.Check)
			p.Detail += fmt.Sprintf("; to %s, add %q to \"allow\"", way, p.Check)
		}
		return p
	}
	return err
}
