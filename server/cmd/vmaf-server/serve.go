package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"vmaf-images/server/internal/config"
	"vmaf-images/server/internal/grpcapi"
	"vmaf-images/server/internal/httpapi"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// serve runs both interfaces until ctx ends, then lets running requests finish.
func serve(ctx context.Context, c *config.Config, log *slog.Logger) error {
	vmaf.ReturnMemory()
	m := metrics.New(or(version), or(revision), vmaf.Version())
	engine, err := scoring.NewEngine(c.Limits, m)
	if err != nil {
		return err
	}
	defer engine.Close()
	m.Watch(engine)

	base, cutOff := context.WithCancelCause(context.Background())
	defer cutOff(nil)
	h := httpapi.New(base, httpapi.Settings{
		Address: c.HTTPAddress, MaxBodyBytes: c.MaxBodyBytes, MaxOptionsBytes: c.MaxOptionsBytes,
		MaxHeaderBytes: c.MaxHeaderBytes, HeaderTimeout: c.HeaderTimeout,
		IdleTimeout: c.IdleTimeout, StallTimeout: c.StallTimeout,
	}, engine, m, log)
	g := grpcapi.New(base, grpcapi.Settings{
		MaxMessageBytes: c.GRPCMaxMessageBytes, MaxHeaderBytes: c.MaxHeaderBytes,
		HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, StallTimeout: c.StallTimeout,
	}, engine, m, log)

	onHTTP, err := net.Listen("tcp", c.HTTPAddress)
	if err != nil {
		return fmt.Errorf("--http-address: %w", err)
	}
	defer onHTTP.Close()
	onGRPC, err := net.Listen("tcp", c.GRPCAddress)
	if err != nil {
		return fmt.Errorf("--grpc-address: %w", err)
	}
	defer onGRPC.Close()
	failed := make(chan error, 2)
	go func() { failed <- h.Serve(onHTTP) }()
	go func() { failed <- g.Serve(onGRPC) }()
	log.Info("serving", "version", or(version), "revision", or(revision), "libvmaf", vmaf.Version(),
		"http", onHTTP.Addr().String(), "grpc", onGRPC.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return drain(engine, h, g, cutOff, c.DrainTimeout, log)
}

// drain refuses what is new, waits for what runs, and cuts off what takes too long.
func drain(engine *scoring.Engine, h *http.Server, g *grpcapi.Server, cutOff context.CancelCauseFunc, patience time.Duration, log *slog.Logger) error {
	log.Info("draining", "running", engine.Running(), "seconds", patience.Seconds())
	engine.Drain()
	g.Health.Shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		g.GracefulStop()
	}()
	late := h.Shutdown(ctx)
	select {
	case <-drained:
	case <-ctx.Done():
		late = ctx.Err()
	}
	if late == nil {
		log.Info("drained")
		return nil
	}
	cutOff(scoring.Problemf(scoring.Draining, "the server shuts down, and cannot wait longer"))
	// A moment for the answers that say so.
	ctx, cancel = context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := h.Shutdown(ctx)
	select {
	case <-drained:
	case <-ctx.Done():
		g.Stop()
	}
	return errors.Join(fmt.Errorf("requests were cut off after %s", patience), err)
}
