package httpapi

import (
	"math"

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

func toMap(values []scoring.Value) map[string]*float64 {
	out := make(map[string]*float64, len(values))
	for _, v := range values {
		out[v.Name] = number(v.Value)
	}
	return out
}
