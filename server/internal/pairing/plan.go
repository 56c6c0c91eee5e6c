package pairing

import (
	"vmaf-images/server/internal/media"
)

// Options are what a user can choose.
type Options struct {
	// Model is a name that ChooseModel takes.
	Model string
	// Fit scales both videos to the screen of the model.
	Fit bool
	// Window is the largest offset of the videos that is looked for, in seconds.
	Window float64
	// Allowed are the checks that need not pass.
	Allowed Allowed
}

// Plan is how a pair of videos is compared.
type Plan struct {
	Model      Model
	Conversion Conversion
	Pairs      []Pair
	// Times are when the reference shows the first, second, ... pair, in seconds after its first
	// frame.
	Times []float64
	// Notes say what is done before the comparison, and what is not compared.
	Notes []string
}

// Video is a video and its decoded frames.
type Video struct {
	*media.Video
	*media.Frames
}

// FrameRate returns the frame rate of a video in frames a second: of all frames if it is constant, else
// of most. It is 0 for a single frame.
func FrameRate(f *media.Frames) float64 { return newClock(f).rate }

// Make decides how two videos are compared. It returns a Refusal if a check does not pass.
func Make(ref, dist Video, o Options) (*Plan, error) {
	v := &verdict{allowed: o.Allowed}
	refClock := newClock(ref.Frames)
	model, err := ChooseModel(o.Model, ref.Video, refClock.rate)
	if err != nil {
		return nil, err
	}
	p := &Plan{Model: model}
	if p.Conversion, err = v.matchFormats(ref.Video, dist.Video, model, o.Fit); err != nil {
		return nil, err
	}
	if p.Pairs, err = v.matchFrames(ref.Frames, dist.Frames, o.Window); err != nil {
		return nil, err
	}
	for _, pair := range p.Pairs {
		p.Times = append(p.Times, refClock.times[pair.Ref])
	}
	p.Notes = v.notes
	return p, nil
}
