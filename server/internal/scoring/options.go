package scoring

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"vmaf-images/server/internal/vmaf"
)

// Options are the options of a request. Fields that are nil have the server's defaults.
type Options struct {
	Models    []string `json:"models"`
	Features  []string `json:"features"`
	Pooling   []string `json:"pooling"`
	Subsample *int     `json:"subsample"`
	Threads   *int     `json:"threads"`
}

// PathRequest is a request to score two files under the data root.
type PathRequest struct {
	Reference string   `json:"reference"`
	Distorted string   `json:"distorted"`
	Options   *Options `json:"options"`
}

// These limits are also in openapi.yaml.
const (
	maxModels    = 4
	maxModelName = 255
	maxFeatures  = 16
	maxSubsample = 1000
	maxPath      = 4096
)

// Methods maps the names of the pooling methods.
var Methods = map[string]vmaf.Pooling{
	"mean": vmaf.Mean, "harmonic_mean": vmaf.HarmonicMean, "min": vmaf.Min, "max": vmaf.Max,
}

var allMethods = []string{"mean", "harmonic_mean", "min", "max"}

// ParseOptions reads Options from JSON.
func ParseOptions(text []byte) (Options, error) {
	var o Options
	return o, Decode(text, &o)
}

// ParsePathRequest reads a PathRequest from JSON.
func ParsePathRequest(text []byte) (PathRequest, error) {
	var r PathRequest
	if err := Decode(text, &r); err != nil {
		return r, err
	}
	return r, r.Check()
}

// Check returns an error if a path is empty or too long.
func (r PathRequest) Check() error { return CheckPaths(r.Reference, r.Distorted) }

// CheckPaths returns an error if a path is empty or too long.
func CheckPaths(reference, distorted string) error {
	for which, path := range map[string]string{"reference": reference, "distorted": distorted} {
		if path == "" || len(path) > maxPath {
			return Problemf(BadRequest, "%q must be a path of 1 to %d bytes", which, maxPath)
		}
	}
	return nil
}

// UnmarshalJSON rejects unknown fields and nulls.
func (o *Options) UnmarshalJSON(text []byte) error {
	type plain Options
	return Strict(BadOptions, text, (*plain)(o), "models", "features", "pooling", "subsample",
		"threads")
}

// UnmarshalJSON rejects unknown fields and nulls.
func (r *PathRequest) UnmarshalJSON(text []byte) error {
	type plain PathRequest
	return Strict(BadRequest, text, (*plain)(r), "reference", "distorted", "options")
}

// Strict decodes a JSON object, and rejects nulls and fields that are not in names.
// json.Unmarshal would ignore nulls and match names regardless of case.
func Strict(kind Kind, text []byte, into any, names ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return Problemf(kind, "expected a JSON object, got %.20s", text)
	}
	for name, value := range fields {
		if !slices.Contains(names, name) {
			return Problemf(kind, "unknown field %.100q; expected %s",
				name, strings.Join(names, ", "))
		}
		if string(value) == "null" {
			return Problemf(kind, "%q is null; leave it out instead", name)
		}
	}
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return Problemf(kind, "%q cannot be a %s", wrong.Field, wrong.Value)
	}
	return err
}

// Decode decodes JSON to a value that Strict fills.
func Decode(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	var problem *Problem
	if err == nil || errors.As(err, &problem) {
		return err
	}
	return Problemf(BadRequest, "invalid JSON: %w", err)
}

// plan holds checked Options, with the defaults filled in.
type plan struct {
	models, features   []string
	pooling            []string
	subsample, threads int
}

func (e *Engine) plan(o Options) (plan, error) {
	p := plan{models: o.Models, features: o.Features, pooling: o.Pooling, subsample: 1,
		threads: e.limits.Threads}
	if o.Models == nil {
		p.models = []string{e.limits.DefaultModel}
	}
	if o.Pooling == nil {
		p.pooling = allMethods
	}
	if o.Subsample != nil {
		p.subsample = *o.Subsample
	}
	if o.Threads != nil {
		p.threads = *o.Threads
	}
	return p, p.check(e.limits.MaxThreads)
}

func (p plan) check(maxThreads int) error {
	for _, list := range []struct {
		name     string
		values   []string
		min, max int
	}{
		{"models", p.models, 1, maxModels},
		{"features", p.features, 0, maxFeatures},
		{"pooling", p.pooling, 1, len(allMethods)},
	} {
		if n := len(list.values); n < list.min || n > list.max {
			return Problemf(BadOptions, "%q has %d values; it must have %d to %d",
				list.name, n, list.min, list.max)
		}
		for i, v := range list.values {
			if slices.Contains(list.values[:i], v) {
				return Problemf(BadOptions, "%q contains %q twice", list.name, v)
			}
		}
	}
	for _, f := range p.features {
		if vmaf.Features[f] == nil {
			return Problemf(BadOptions, "unknown feature %q; /v1/models lists the features", f)
		}
	}
	for _, m := range p.pooling {
		if _, known := Methods[m]; !known {
			return Problemf(BadOptions, "unknown pooling method %q; expected %s",
				m, strings.Join(allMethods, ", "))
		}
	}
	if p.subsample < 1 || p.subsample > maxSubsample {
		return Problemf(BadOptions, "\"subsample\" is %d; it must be 1 to %d",
			p.subsample, maxSubsample)
	}
	if p.threads < 0 || p.threads > maxThreads {
		return Problemf(BadOptions, "\"threads\" is %d; it must be 0 to %d", p.threads, maxThreads)
	}
	return nil
}

// FeatureNames returns the features that a request may name, sorted.
func FeatureNames() []string { return slices.Sorted(maps.Keys(vmaf.Features)) }
