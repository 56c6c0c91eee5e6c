package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"vmaf-images/server/internal/sandbox"
	"vmaf-images/server/internal/scoring"
)

// Settings are the settings of a Service. The flags of the same names are documented in package
// config.
type Settings struct {
	FFmpeg, FFprobe string
	Timeout         time.Duration
	Duration        time.Duration
	Decoder         sandbox.Limits
	Workers         int
	Keep            Keep
}

// Scorer scores the videos of a job.
type Scorer interface {
	// Score calls progress with how far it is. It returns a Problem if the videos are refused.
	Score(ctx context.Context, job Job, progress func(Progress)) (*Result, error)
}

// Service takes and runs jobs.
type Service struct {
	settings Settings
	engine   *scoring.Engine
	store    Store
	scorer   Scorer
	log      *slog.Logger
}

// New returns a service. Without a scorer, it takes no jobs.
func New(s Settings, e *scoring.Engine, scorer Scorer, log *slog.Logger) *Service {
	return &Service{settings: s, engine: e, store: NewMemory(s.Keep), scorer: scorer, log: log}
}

// Run runs jobs until the context is done. It then ends those that run.
func (v *Service) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range v.settings.Workers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for {
				lease, err := v.store.Next(ctx)
				if err != nil {
					return
				}
				v.work(ctx, lease)
			}
		}()
	}
	workers.Wait()
}

// work runs a job and stores its outcome.
func (v *Service) work(ctx context.Context, lease *Lease) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-lease.Removed:
			cancel(scoring.Problemf(scoring.Cancelled, "the job was removed"))
		case <-ctx.Done():
		}
	}()
	defer lease.Reference.Close()
	defer lease.Distorted.Close()
	start := time.Now()
	var result *Result
	err := v.engine.DoJob(ctx, v.settings.Timeout, func(ctx context.Context) (err error) {
		// A bug must not end the server.
		defer func() {
			if value := recover(); value != nil {
				err = fmt.Errorf("panic: %v", value)
			}
		}()
		start = time.Now()
		v.store.Start(lease.ID)
		result, err = v.scorer.Score(ctx, lease.Job,
			func(p Progress) { v.store.Progress(lease.ID, p) })
		return err
	})
	var problem *scoring.Problem
	if err != nil {
		problem = scoring.AsProblem(err)
		if problem.Kind == scoring.Internal {
			v.log.Error("job failed", "error", errors.Unwrap(problem).Error())
		}
	}
	v.store.Finish(lease.ID, result, problem)
	v.engine.Finished("job", err, time.Since(start))
	outcome := "done"
	if problem != nil {
		outcome = string(problem.Kind)
	}
	v.log.Info("job", "outcome", outcome, "seconds", time.Since(start).Seconds())
}

// Reserve keeps a place in the queue for a job that is received. It returns a Problem if the server
// takes no jobs, or too many are waiting.
func (v *Service) Reserve() (Place, error) {
	if v.scorer == nil {
		return nil, scoring.Problemf(scoring.NoDecoder, "this server takes no jobs, because it has no "+
			"FFmpeg; send Y4M to /v1/score, or use the image vmaf:node-cpu")
	}
	if err := v.engine.Accepts(); err != nil {
		return nil, err
	}
	return v.store.Reserve()
}

// Check returns a Problem if options are invalid.
func (v *Service) Check(o Options) error {
	if err := v.engine.Check(o.Options); err != nil {
		return err
	}
	_, err := o.pairing("")
	return err
}

// Paths returns the videos of a request. It returns a Problem if one of them is no file under the
// data root.
func (v *Service) Paths(r Request) (reference, distorted Input, err error) {
	reference = path{v.engine, "reference", r.Reference}
	distorted = path{v.engine, "distorted", r.Distorted}
	for _, input := range []Input{reference, distorted} {
		file, err := input.Open()
		if err != nil {
			return nil, nil, err
		}
		file.Close()
	}
	return reference, distorted, nil
}

// Get returns a job. It returns a Problem if there is none.
func (v *Service) Get(id string) (Job, error) {
	job, ok := v.store.Get(id)
	if !ok {
		return job, noJob
	}
	return job, nil
}

// Remove cancels and removes a job. It returns a Problem if there is none.
func (v *Service) Remove(id string) error {
	if !v.store.Remove(id) {
		return noJob
	}
	return nil
}

var noJob = scoring.Problemf(scoring.NotFound,
	"there is no such job; jobs are removed some time after their end")

// Count returns the number of jobs in each state.
func (v *Service) Count() map[State]int { return v.store.Count() }
