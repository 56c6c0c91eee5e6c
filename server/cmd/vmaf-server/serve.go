package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"vmaf-images/server/internal/config"
	"vmaf-images/server/internal/grpcapi"
	"vmaf-images/server/internal/httpapi"
	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/sandbox"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// serve runs the HTTP and gRPC servers until ctx is done, and then drains them.
func serve(ctx context.Context, c *config.Config, log *slog.Logger) error {
	version, revision := cmp.Or(version, unknown), cmp.Or(revision, unknown)
	vmaf.ReturnMemory()
	m := metrics.New(version, revision, vmaf.Version())
	engine, err := scoring.NewEngine(c.Limits, m)
	if err != nil {
		return err
	}
	defer engine.Close()
	m.Watch(engine)

	refusals := overload.NewSummary(log)
	defer refusals.Flush()
	j, err := newJobs(c.Jobs, engine, log)
	if err != nil {
		return err
	}
	m.WatchJobs(j.Count)
	stopJobs := runJobs(j)
	defer stopJobs()

	base, cutOff := context.WithCancelCause(context.Background())
	defer cutOff(nil)
	h := httpapi.New(base, httpapi.Settings{
		Address: c.HTTPAddress, MaxBodyBytes: c.MaxBodyBytes, MaxOptionsBytes: c.MaxOptionsBytes,
		MaxHeaderBytes: c.MaxHeaderBytes, HeaderTimeout: c.HeaderTimeout,
		IdleTimeout: c.IdleTimeout, StallTimeout: c.StallTimeout, Refusals: refusals,
	}, engine, j, m, log)
	g := grpcapi.New(base, grpcapi.Settings{
		MaxMessageBytes: c.GRPCMaxMessageBytes, MaxHeaderBytes: c.MaxHeaderBytes,
		HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, StallTimeout: c.StallTimeout,
		MaxStreams: c.MaxStreams(), Refusals: refusals,
	}, engine, m, log)

	httpListener, err := overload.Listen(c.HTTPAddress, c.MaxConnections)
	if err != nil {
		return fmt.Errorf("--http-address: %w", err)
	}
	defer httpListener.Close()
	grpcListener, err := overload.Listen(c.GRPCAddress, c.MaxConnections)
	if err != nil {
		return fmt.Errorf("--grpc-address: %w", err)
	}
	defer grpcListener.Close()
	failed := make(chan error, 2)
	go func() { failed <- h.Serve(httpListener) }()
	go func() { failed <- g.Serve(grpcListener) }()
	log.Info("serving", "version", version, "revision", revision, "libvmaf", vmaf.Version(),
		"http", httpListener.Addr().String(), "grpc", grpcListener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Nobody can ask for the results of jobs any more.
	go stopJobs()
	return drain(engine, h, g, cutOff, c.DrainTimeout, log)
}

// newJobs returns a service that takes jobs if FFmpeg is installed.
func newJobs(s jobs.Settings, e *scoring.Engine, log *slog.Logger) (*jobs.Service, error) {
	const timeout = 30 * time.Second // of `ffmpeg -version`
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	decoder, err := jobs.NewDecoder(ctx, s, e)
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		log.Info("taking no jobs", "reason", err.Error())
		return jobs.New(s, e, nil, log), nil
	case err != nil:
		return nil, err
	}
	log.Info("taking jobs", "ffmpeg", decoder.Version, "landlock", sandbox.Landlock())
	return jobs.New(s, e, decoder, log), nil
}

// runJobs runs jobs until the returned function is called, which waits for their end.
func runJobs(j *jobs.Service) (stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		j.Run(ctx)
	}()
	return func() {
		cancel(scoring.Problemf(scoring.Draining, "the server is shutting down"))
		<-ended
	}
}

// drain stops accepting requests and waits up to timeout for the running ones. It then cuts
// off those that remain, and returns an error.
func drain(engine *scoring.Engine, h *http.Server, g *grpcapi.Server,
	cutOff context.CancelCauseFunc, timeout time.Duration, log *slog.Logger) error {
	log.Info("draining", "running", engine.Running(), "seconds", timeout.Seconds())
	engine.Drain()
	g.Health.Shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		g.GracefulStop()
	}()
	timedOut := h.Shutdown(ctx)
	select {
	case <-drained:
	case <-ctx.Done():
		timedOut = ctx.Err()
	}
	if timedOut == nil {
		log.Info("drained")
		return nil
	}
	cutOff(scoring.Problemf(scoring.Draining,
		"the server is shutting down, and its drain timeout has passed"))
	// Leave some time for sending the error responses.
	ctx, cancel = context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := h.Shutdown(ctx)
	select {
	case <-drained:
	case <-ctx.Done():
		g.Stop()
	}
	return errors.Join(fmt.Errorf("requests were cut off after %s", timeout), err)
}
