package jobs

import (
	"slices"

	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/scoring"
)

// Options are the options of a job: those of a request to score, and how the videos are aligned.
// Fields that are nil have defaults.
type Options struct {
	scoring.Options
	// Allow are checks that need not pass.
	Allow []string
	// Window is the largest offset of the videos that is looked for, in seconds.
	Window *float64
	// Size is "reference" or "model": the size in which the videos are compared.
	Size *string
}

// Request is a request to score two files under the data root.
type Request struct {
	Reference string  `json:"reference"`
	Distorted string  `json:"distorted"`
	Options   Options `json:"options"`
}

// These values are also in openapi.yaml.
const (
	defaultWindow = 5.0 // seconds, as of score
	maxWindow     = 600.0
	sizeReference = "reference"
	sizeModel     = "model"
)

// ParseOptions reads Options from JSON.
func ParseOptions(text []byte) (Options, error) {
	var o Options
	return o, scoring.Decode(text, &o)
}

// ParseRequest reads a Request from JSON.
func ParseRequest(text []byte) (Request, error) {
	var r Request
	if err := scoring.Decode(text, &r); err != nil {
		return r, err
	}
	return r, scoring.CheckPaths(r.Reference, r.Distorted)
}

// UnmarshalJSON rejects unknown fields and nulls.
func (o *Options) UnmarshalJSON(text []byte) error {
	// An error has the path of its field, so the fields of scoring.Options are here once more.
	var plain struct {
		Models    []string `json:"models"`
		Features  []string `json:"features"`
		Pooling   []string `json:"pooling"`
		Subsample *int     `json:"subsample"`
		Threads   *int     `json:"threads"`
		Allow     []string `json:"allow"`
		Window    *float64 `json:"window"`
		Size      *string  `json:"size"`
	}
	err := scoring.Strict(scoring.BadOptions, text, &plain, "models", "features", "pooling",
		"subsample", "threads", "allow", "window", "size")
	*o = Options{scoring.Options{Models: plain.Models, Features: plain.Features,
		Pooling: plain.Pooling, Subsample: plain.Subsample, Threads: plain.Threads},
		plain.Allow, plain.Window, plain.Size}
	return err
}

// UnmarshalJSON rejects unknown fields and nulls.
func (r *Request) UnmarshalJSON(text []byte) error {
	type plain Request
	return scoring.Strict(scoring.BadRequest, text, (*plain)(r), "reference", "distorted", "options")
}

// pairing returns how the videos are aligned, with the defaults filled in, and for one model.
func (o Options) pairing(model string) (pairing.Options, error) {
	p := pairing.Options{Model: model, Window: defaultWindow, Allowed: pairing.Allowed{}}
	for _, name := range o.Allow {
		check := pairing.Check(name)
		if _, known := pairing.Checks[check]; !known {
			return p, scoring.Problemf(scoring.BadOptions, "unknown check %.100q in \"allow\"", name)
		}
		if p.Allowed[check] {
			return p, scoring.Problemf(scoring.BadOptions, "\"allow\" contains %q twice", name)
		}
		p.Allowed[check] = true
	}
	if o.Window != nil {
		p.Window = *o.Window
		if !(p.Window >= 0 && p.Window <= maxWindow) {
			return p, scoring.Problemf(scoring.BadOptions, "\"window\" is %g; it must be 0 to %g",
				p.Window, maxWindow)
		}
	}
	if o.Size != nil {
		if !slices.Contains([]string{sizeReference, sizeModel}, *o.Size) {
			return p, scoring.Problemf(scoring.BadOptions, "\"size\" is %.100q; it must be %s or %s",
				*o.Size, sizeReference, sizeModel)
		}
		p.Fit = *o.Size == sizeModel
	}
	return p, nil
}
