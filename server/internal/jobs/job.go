// Package jobs scores ordinary video in the background: it queues jobs, decodes their videos with
// FFmpeg, aligns them by the rules of package pairing, and keeps the results.
package jobs

import (
	"os"
	"time"

	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/scoring"
)

// State is the state of a job.
type State string

// The states of a job, in their order. A job is either done or failed at its end.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Job is a pair of videos to score, and what is known about it.
type Job struct {
	// ID is a random text that nobody can guess.
	ID                   string
	State                State
	Reference, Distorted Input
	Options              Options
	// Times that are zero have not been reached. At Expires, the job is removed.
	Created, Started, Ended, Expires time.Time
	Progress                         Progress
	// Result is set if the job is done, and Problem if it failed.
	Result  *Result
	Problem *scoring.Problem
}

// Input is a video of a job.
type Input interface {
	// Name is what the result calls the video.
	Name() string
	// Open returns the file, which the caller closes.
	Open() (*os.File, error)
	// Close frees what is stored for the job.
	Close() error
}

// Stage is a part of the work of a job.
type Stage string

// The stages, in their order. At first, all frames of each video are read, to align the videos.
const (
	ReadingReference Stage = "reading the reference"
	ReadingDistorted Stage = "reading the distorted video"
	Scoring          Stage = "scoring"
)

// Progress is how far a job is.
type Progress struct {
	Stage Stage
	// Frames is the number of frames, or pairs of frames, of this stage so far.
	Frames int
	// Of is the number of all frames of the stage, or 0 if it is not known.
	Of int
}

// Video describes a video of a result.
type Video struct {
	*media.Video
	// Name is the path, or the name of the uploaded file.
	Name   string
	Frames int
}

// Result is the result of a job.
type Result struct {
	*scoring.Result
	Reference, Distorted Video
	// Notes say what was done before the comparison, and what was not compared.
	Notes  []string
	Scores Scores
}

// Scores are the scores of all pairs of frames, row by row.
type Scores struct {
	// Models and Features are the names of the columns.
	Models, Features []string
	rows             []row
	values           []float64
}

// row says which frames were compared.
type row struct {
	pair, reference, distorted int32
	time                       float64
}

// Frame has the scores of a pair of frames.
type Frame struct {
	// Pair is the number of the pair, and Reference and Distorted those of the frames in their
	// videos. All begin at 0.
	Pair, Reference, Distorted int
	// Time is when the reference shows it, in seconds after its first frame.
	Time float64
	// Models and Features are the scores, in the order of the names.
	Models, Features []float64
}

// NewScores returns scores without frames.
func NewScores(models, features []string) Scores {
	return Scores{Models: models, Features: features}
}

// Add adds the scores of a pair of frames.
func (s *Scores) Add(f Frame) {
	s.rows = append(s.rows, row{int32(f.Pair), int32(f.Reference), int32(f.Distorted), f.Time})
	s.values = append(append(s.values, f.Models...), f.Features...)
}

// Count returns the number of pairs of frames.
func (s *Scores) Count() int { return len(s.rows) }

// Frame returns the scores of the i-th pair.
func (s *Scores) Frame(i int) Frame {
	r, models, columns := s.rows[i], len(s.Models), len(s.Models)+len(s.Features)
	values := s.values[i*columns : (i+1)*columns]
	return Frame{Pair: int(r.pair), Reference: int(r.reference), Distorted: int(r.distorted),
		Time: r.time, Models: values[:models], Features: values[models:]}
}

// fixedBytes is more than the size of a result without its frames.
const fixedBytes = 16 << 10

// bytes returns about how much memory a result needs.
func (r *Result) bytes() int64 {
	if r == nil {
		return fixedBytes
	}
	size := int64(fixedBytes) + 24*int64(cap(r.Scores.rows)) + 8*int64(cap(r.Scores.values))
	for _, note := range r.Notes {
		size += int64(len(note))
	}
	return size
}
