// Command score compares videos with a reference. docs/score.md is its manual.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"

	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/results"
)

// revision is set by the linker: -X main.revision=...
var revision string

// Exit codes.
const (
	success     = 0
	tooLow      = 1
	notScored   = 2
	interrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without its side effects on the process. It returns the exit code.
func run(ctx context.Context, args []string, out, errOut *os.File) int {
	o, err := parse(args)
	if err != nil {
		fmt.Fprintf(errOut, "score: %v; see score --help\n", err)
		return notScored
	}
	program := "score (" + cmp.Or(revision, "unknown") + ")"
	switch {
	case o.help:
		usage(out)
		return success
	case o.version:
		fmt.Fprintln(out, program)
		return success
	}
	s := &session{options: o, progress: newProgress(errOut, o.quiet), summary: out,
		run: results.Run{Program: program}}
	if o.json == stdout || o.csv == stdout || o.html == stdout {
		s.summary = errOut
	}
	code, err := s.score(ctx, out)
	s.progress.clear()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(errOut, "score: interrupted; nothing was written")
		return interrupted
	case err != nil:
		fmt.Fprintf(errOut, "score: %v\n", err)
		return notScored
	}
	return code
}

// session is one call of the program.
type session struct {
	*options
	progress *progress
	summary  io.Writer
	run      results.Run
}

// score scores all pairs, writes the results, and returns the exit code.
func (s *session) score(ctx context.Context, standard io.Writer) (int, error) {
	var outputs []*output
	var contents []func(io.Writer) error
	inputs := append([]string{s.reference}, s.distorted...)
	for _, one := range []struct {
		path  string
		write func(io.Writer) error
	}{{s.json, s.run.WriteJSON}, {s.csv, s.run.WriteCSV}, {s.html, s.run.WriteHTML}} {
		if one.path == "" {
			continue
		}
		opened, err := openOutput(one.path, inputs)
		if err != nil {
			return 0, err
		}
		defer opened.discard()
		outputs, contents = append(outputs, opened), append(contents, one.write)
	}

	var err error
	if s.run.FFmpeg, err = media.OnPath.Version(ctx); err != nil {
		return 0, err
	}
	ref, err := s.read(ctx, s.reference)
	if err != nil {
		return 0, err
	}
	s.run.Reference = ref.Video
	code := success
	for _, path := range s.distorted {
		pair, err := s.pair(ctx, ref, path)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil {
			pair = &results.Pair{File: path, Refused: reason(path, err)}
			var refusal *pairing.Refusal
			if errors.As(err, &refusal) {
				pair.Check = string(refusal.Check)
			}
			code = notScored
		} else if low := pair.Pooled[results.VMAF].Get(s.pool) < s.min; low && code == success {
			code = tooLow
		}
		s.run.Pairs = append(s.run.Pairs, pair)
		s.progress.clear()
		s.print(pair)
	}
	for i, one := range outputs {
		if err := one.write(contents[i], standard); err != nil {
			return 0, err
		}
	}
	return code, nil
}

// reason returns an error without the path that is printed before it.
func reason(path string, err error) string {
	var file *media.FileError
	if errors.As(err, &file) && file.Path == path {
		return "it " + file.Reason
	}
	return err.Error()
}

// read decodes a video.
func (s *session) read(ctx context.Context, path string) (pairing.Video, error) {
	v, err := media.OnPath.Probe(ctx, media.Source{Name: path})
	if err != nil {
		return pairing.Video{}, err
	}
	frames, err := media.OnPath.Decode(ctx, v, s.progress.task("reading "+path, 0))
	return pairing.Video{Video: v, Frames: frames}, err
}

// pair scores a distorted video.
func (s *session) pair(ctx context.Context, ref pairing.Video, path string) (
	*results.Pair, error,
) {
	dist, err := s.read(ctx, path)
	if err != nil {
		return nil, err
	}
	plan, err := pairing.Make(ref, dist, s.pairing)
	if err != nil {
		return nil, err
	}
	pair := &results.Pair{File: path, Distorted: dist.Video, Model: plan.Model.Name,
		Comparison: &plan.Conversion, Notes: plan.Notes}
	graph := plan.Graph(dist, ref, pairing.Scoring{Features: s.features, Threads: s.threads,
		Every: s.every, Log: media.LogPath})
	inputs := []*media.Video{dist.Video, ref.Video}
	err = media.OnPath.Filter(ctx, inputs, graph, func(log io.Reader) error {
		read, err := results.ReadLog(log, plan, s.every)
		if err == nil {
			pair.Frames, s.run.Libvmaf = read.Frames, read.Version
		}
		return err
	}, s.progress.task("scoring "+path, len(plan.Pairs)))
	if errors.Is(err, media.ErrModel) {
		return nil, fmt.Errorf("libvmaf has no model %s, and can read no such file", plan.Model.Name)
	}
	if err != nil {
		return nil, err
	}
	pair.Pool()
	if _, ok := pair.Pooled[results.VMAF]; !ok {
		return nil, fmt.Errorf("libvmaf computed no score with the model %s", plan.Model.Name)
	}
	return pair, nil
}

// print writes what a person wants to know about a pair.
func (s *session) print(p *results.Pair) {
	if p.Refused != "" {
		fmt.Fprintf(s.summary, "%s: not scored: %s\n", p.File, p.Refused)
		return
	}
	stats, lowest := p.Pooled[results.VMAF], p.Lowest()
	fmt.Fprintf(s.summary, "%s: %.3f (%s, %s; lowest %.3f at %s, 5%% of the frames up to %.3f)\n",
		p.File, stats.Mean, p.Model, pairing.Count(len(p.Frames), "frame"), stats.Min,
		pairing.Clock(lowest.Time), stats.P5)
	for _, note := range p.Notes {
		fmt.Fprintf(s.summary, "  %s\n", note)
	}
	for _, name := range p.Names() {
		if s.computed(name) {
			fmt.Fprintf(s.summary, "  %s: %.3f\n", name, p.Pooled[name].Mean)
		}
	}
	if got := stats.Get(s.pool); !math.IsNaN(s.min) && got < s.min {
		fmt.Fprintf(s.summary, "  too low: its %s is %.3f, and --min is %.3f\n", s.pool, got, s.min)
	}
}

// computed reports whether a score was asked for by --features.
func (s *session) computed(name string) bool {
	for _, feature := range s.features {
		if len(name) >= len(feature) && name[:len(feature)] == feature || name == feature+"2000" {
			return true
		}
	}
	return false
}
