// Package results has the scores of pairs of videos, and writes them as JSON, CSV and HTML.
package results

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/pairing"
)

// Run is what a call of `score` found out.
type Run struct {
	// Program, FFmpeg and Libvmaf are the versions of what computed them.
	Program   string       `json:"program"`
	FFmpeg    string       `json:"ffmpeg"`
	Libvmaf   string       `json:"libvmaf,omitempty"`
	Reference *media.Video `json:"reference"`
	Pairs     []*Pair      `json:"pairs"`
}

// Pair is a distorted video, and how it compares with the reference.
type Pair struct {
	Distorted *media.Video `json:"distorted,omitempty"`
	// File is its name as given.
	File string `json:"file"`
	// Refused says why it was not scored. The other fields are then empty.
	Refused string `json:"refused,omitempty"`
	// Check is the check that refused it, if --allow can name it.
	Check string `json:"check,omitempty"`
	// Model is the name of libvmaf's model.
	Model string `json:"model,omitempty"`
	// Comparison is the size and the pixel format in which the videos were compared.
	Comparison *pairing.Conversion `json:"comparison,omitempty"`
	// Notes say what was done before the comparison, and what was not compared.
	Notes []string `json:"notes,omitempty"`
	// Pooled has the statistics of each score, by its name.
	Pooled map[string]Statistics `json:"pooled,omitempty"`
	Frames []Frame               `json:"frames,omitempty"`
}

// VMAF is the name of the model's score.
const VMAF = "vmaf"

// Frame has the scores of a pair of frames.
type Frame struct {
	// Reference and Distorted are the numbers of the frames; the first frame is 0.
	Reference int `json:"reference"`
	Distorted int `json:"distorted"`
	// Time is when the reference shows it, in seconds after its first frame.
	Time   float64            `json:"time"`
	Scores map[string]float64 `json:"scores"`
}

// Statistics of a score.
type Statistics struct {
	Mean float64 `json:"mean"`
	// Harmonic is the harmonic mean as libvmaf computes it: of the scores plus 1, less 1.
	Harmonic float64 `json:"harmonic_mean"`
	Min      float64 `json:"min"`
	// P1, P5 and P50 are percentiles: 1, 5 and 50 of 100 frames have a score of that or less.
	P1  float64 `json:"p1"`
	P5  float64 `json:"p5"`
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
}

// Pools are the names of the statistics.
var Pools = []string{"mean", "harmonic_mean", "min", "p1", "p5", "p50", "max"}

// Get returns the statistic of a name in Pools.
func (s Statistics) Get(pool string) float64 {
	return []float64{s.Mean, s.Harmonic, s.Min, s.P1, s.P5, s.P50, s.Max}[slices.Index(Pools, pool)]
}

// NewStatistics returns the statistics of scores, of which there must be at least one.
func NewStatistics(scores []float64) Statistics {
	sorted := slices.Sorted(slices.Values(scores))
	sum, inverse := 0.0, 0.0
	for _, score := range scores {
		sum += score
		inverse += 1 / (score + 1)
	}
	n := float64(len(scores))
	percentile := func(p float64) float64 { // the nearest rank
		return sorted[max(0, int(math.Ceil(p*n/100))-1)]
	}
	return Statistics{Mean: sum / n, Harmonic: n/inverse - 1, Min: sorted[0], P1: percentile(1),
		P5: percentile(5), P50: percentile(50), Max: sorted[len(sorted)-1]}
}

// Log is what libvmaf writes as JSON.
type Log struct {
	Version string
	Frames  []Frame
}

// ReadLog reads a log of which each n-th pair was scored. It returns an error if the log does not
// have the frames of the plan.
func ReadLog(log io.Reader, plan *pairing.Plan, n int) (*Log, error) {
	var read struct {
		Version string `json:"version"`
		Frames  []struct {
			Number  int                `json:"frameNum"`
			Metrics map[string]float64 `json:"metrics"`
		} `json:"frames"`
	}
	if err := json.NewDecoder(bufio.NewReader(log)).Decode(&read); err != nil {
		return nil, fmt.Errorf("libvmaf's log cannot be read: %w", err)
	}
	frames := make([]Frame, 0, len(read.Frames))
	for i, one := range read.Frames {
		if one.Number != i*n || one.Number >= len(plan.Pairs) {
			return nil, fmt.Errorf("libvmaf scored the frame %d as its %dth, of %d pairs", one.Number,
				i, len(plan.Pairs))
		}
		pair := plan.Pairs[one.Number]
		frames = append(frames, Frame{Reference: pair.Ref, Distorted: pair.Dist,
			Time: plan.Times[one.Number], Scores: one.Metrics})
	}
	if expected := (len(plan.Pairs) + n - 1) / n; len(frames) != expected {
		return nil, fmt.Errorf("libvmaf scored %d pairs of frames instead of %d", len(frames), expected)
	}
	return &Log{read.Version, frames}, nil
}

// Pool fills the statistics of a pair from its frames.
func (p *Pair) Pool() {
	p.Pooled = map[string]Statistics{}
	for _, name := range p.Names() {
		var scores []float64
		for _, frame := range p.Frames {
			scores = append(scores, frame.Scores[name])
		}
		p.Pooled[name] = NewStatistics(scores)
	}
}

// Names returns the names of the scores that all frames have, the model's first.
func (p *Pair) Names() []string {
	if len(p.Frames) == 0 {
		return nil
	}
	var names []string
	for name := range p.Frames[0].Scores {
		if !slices.ContainsFunc(p.Frames, func(f Frame) bool { _, ok := f.Scores[name]; return !ok }) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		switch VMAF {
		case a:
			return -1
		case b:
			return 1
		}
		return cmp.Compare(a, b)
	})
	return names
}

// Lowest returns the frame with the lowest score.
func (p *Pair) Lowest() Frame {
	return slices.MinFunc(p.Frames, func(a, b Frame) int {
		return cmp.Compare(a.Scores[VMAF], b.Scores[VMAF])
	})
}

// WriteJSON writes all results as one JSON object.
func (r *Run) WriteJSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteCSV writes a line for each pair of frames.
func (r *Run) WriteCSV(to io.Writer) error {
	var names []string
	for _, pair := range r.Pairs {
		for _, name := range pair.Names() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	out := csv.NewWriter(to)
	head := []string{"distorted", "model", "reference_frame", "distorted_frame", "time"}
	errs := []error{out.Write(append(head, names...))}
	for _, pair := range r.Pairs {
		for _, frame := range pair.Frames {
			line := []string{pair.File, pair.Model, strconv.Itoa(frame.Reference),
				strconv.Itoa(frame.Distorted), strconv.FormatFloat(frame.Time, 'f', 6, 64)}
			for _, name := range names {
				cell := ""
				if score, ok := frame.Scores[name]; ok {
					cell = strconv.FormatFloat(score, 'f', 6, 64)
				}
				line = append(line, cell)
			}
			errs = append(errs, out.Write(line))
		}
	}
	out.Flush()
	return errors.Join(append(errs, out.Error())...)
}
