package httpapi

import (
	"math"
	"time"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// The types in this file are the JSON objects that openapi.yaml defines.

type health struct {
	Status string `json:"status"`
}

type modelInfo struct {
	Name   string `json:"name"`
	Source string `json:"source"`
}

type modelList struct {
	Libvmaf  string      `json:"libvmaf"`
	Default  string      `json:"default"`
	Models   []modelInfo `json:"models"`
	Features []string    `json:"features"`
}

type video struct {
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Chroma   string `json:"chroma"`
	BitDepth int    `json:"bit_depth"`
}

// pooled maps pooling methods to values. NaN and infinite values are nil, because
// JSON cannot represent them.
type pooled map[string]*float64

type bootstrap struct {
	Stddev pooled `json:"stddev"`
	Low    pooled `json:"ci95_low"`
	High   pooled `json:"ci95_high"`
}

type modelScore struct {
	Name      string     `json:"name"`
	Pooled    pooled     `json:"pooled"`
	Bootstrap *bootstrap `json:"bootstrap,omitempty"`
}

type featureScore struct {
	Name   string `json:"name"`
	Pooled pooled `json:"pooled"`
}

type result struct {
	Type      string         `json:"type,omitempty"`
	Libvmaf   string         `json:"libvmaf"`
	Video     video          `json:"video"`
	Frames    int            `json:"frames"`
	Scored    int            `json:"scored"`
	Subsample int            `json:"subsample"`
	Threads   int            `json:"threads"`
	Models    []modelScore   `json:"models"`
	Features  []featureScore `json:"features"`
	Seconds   float64        `json:"seconds"`
}

type frameLine struct {
	Type     string              `json:"type"`
	Frame    int                 `json:"frame"`
	Models   map[string]*float64 `json:"models"`
	Features map[string]*float64 `json:"features"`
}

type errorLine struct {
	Type    string  `json:"type"`
	Problem problem `json:"problem"`
}

// jobVideo is a video of a job.
type jobVideo struct {
	Name        string  `json:"name"`
	Container   string  `json:"container"`
	Codec       string  `json:"codec"`
	Width       int     `json:"width"`
	Height      int     `json:"height"`
	PixelAspect float64 `json:"pixel_aspect"`
	PixelFormat string  `json:"pixel_format"`
	Depth       int     `json:"bit_depth"`
	Frames      int     `json:"frames"`
}

type jobResult struct {
	result
	Reference jobVideo `json:"reference"`
	Distorted jobVideo `json:"distorted"`
	Notes     []string `json:"notes"`
}

type jobProgress struct {
	Stage  jobs.Stage `json:"stage"`
	Frames int        `json:"frames"`
	Of     int        `json:"of,omitempty"`
}

type job struct {
	ID       string       `json:"id"`
	State    jobs.State   `json:"state"`
	Created  time.Time    `json:"created"`
	Started  *time.Time   `json:"started,omitempty"`
	Ended    *time.Time   `json:"ended,omitempty"`
	Expires  *time.Time   `json:"expires,omitempty"`
	Progress *jobProgress `json:"progress,omitempty"`
	Result   *jobResult   `json:"result,omitempty"`
	Problem  *problem     `json:"problem,omitempty"`
}

type jobFrame struct {
	Frame     int                 `json:"frame"`
	Reference int                 `json:"reference_frame"`
	Distorted int                 `json:"distorted_frame"`
	Time      float64             `json:"time"`
	Models    map[string]*float64 `json:"models"`
	Features  map[string]*float64 `json:"features"`
}

// number returns nil for NaN and infinite values.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func toPooled(p scoring.Pooled) pooled {
	out := pooled{}
	for method, v := range p {
		out[method] = number(v)
	}
	return out
}

func toResult(r *scoring.Result, kind string) result {
	out := result{
		Type: kind, Libvmaf: vmaf.Version(),
		Video: video{
			Width: r.Format.Width, Height: r.Format.Height,
			Chroma: r.Format.Chroma.String(), BitDepth: r.Format.BitDepth,
		},
		Frames: r.Frames, Scored: r.Scored, Subsample: r.Subsample, Threads: r.Threads,
		Features: []featureScore{}, Seconds: r.Took.Seconds(),
	}
	for _, m := range r.Models {
		score := modelScore{Name: m.Name, Pooled: toPooled(m.Pooled)}
		if m.Stddev != nil {
			score.Bootstrap = &bootstrap{
				Stddev: toPooled(m.Stddev), Low: toPooled(m.Low), High: toPooled(m.High),
			}
		}
		out.Models = append(out.Models, score)
	}
	for _, f := range r.Features {
		out.Features = append(out.Features, featureScore{Name: f.Name, Pooled: toPooled(f.Pooled)})
	}
	return out
}

func toFrame(f scoring.Frame) frameLine {
	return frameLine{Type: "frame", Frame: f.Index, Models: toMap(f.Models),
		Features: toMap(f.Features)}
}

func toJob(j jobs.Job) job {
	out := job{ID: j.ID, State: j.State, Created: j.Created.UTC(), Started: toTime(j.Started),
		Ended: toTime(j.Ended), Expires: toTime(j.Expires)}
	if j.State == jobs.Running && j.Progress.Stage != "" {
		out.Progress = &jobProgress{j.Progress.Stage, j.Progress.Frames, j.Progress.Of}
	}
	if j.Problem != nil {
		doc := document(j.Problem)
		out.Problem = &doc
	}
	if r := j.Result; r != nil {
		out.Result = &jobResult{result: toResult(r.Result, ""), Reference: toJobVideo(r.Reference),
			Distorted: toJobVideo(r.Distorted), Notes: append([]string{}, r.Notes...)}
	}
	return out
}

// toTime returns nil for a time that has not been reached.
func toTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func toJobVideo(v jobs.Video) jobVideo {
	return jobVideo{Name: v.Name, Container: v.Format, Codec: v.Codec, Width: v.Width,
		Height: v.Height, PixelAspect: v.PixelAspect, PixelFormat: v.PixelFormat, Depth: v.Depth,
		Frames: v.Frames}
}

func toJobFrame(s *jobs.Scores, i int) jobFrame {
	f := s.Frame(i)
	byName := func(names []string, values []float64) map[string]*float64 {
		out := make(map[string]*float64, len(names))
		for i, name := range names {
			out[name] = number(values[i])
		}
		return out
	}
	return jobFrame{f.Pair, f.Reference, f.Distorted, f.Time, byName(s.Models, f.Models),
		byName(s.Features, f.Features)}
}

func toMap(values []scoring.Value) map[string]*float64 {
	out := make(map[string]*float64, len(values))
	for _, v := range values {
		out[v.Name] = number(v.Value)
	}
	return out
}
