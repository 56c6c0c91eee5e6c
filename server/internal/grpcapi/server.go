// Package grpcapi implements the gRPC service that api/vmaf/v1/scoring.proto defines.
package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	vmafv1 "vmaf-images/server/api/vmaf/v1"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
)

// Settings are the settings of the gRPC interface.
type Settings struct {
	MaxMessageBytes            int
	MaxHeaderBytes             int
	HeaderTimeout, IdleTimeout time.Duration
	StallTimeout               time.Duration
	MaxStreams                 int // of one connection
	Refusals                   *overload.Summary
}

// Server is a gRPC server and its health service.
type Server struct {
	*grpc.Server
	Health *health.Server
}

type service struct {
	vmafv1.UnimplementedScoringServer
	base     context.Context // the server's context; see New
	stall    time.Duration
	refusals *overload.Summary
	engine   *scoring.Engine
	metrics  *metrics.Metrics
	log      *slog.Logger
}

// New returns a server. Cancelling base cuts off all calls, with its cause as their error.
func New(base context.Context, s Settings, e *scoring.Engine, m *metrics.Metrics,
	log *slog.Logger) *Server {
	srv := &service{base: base, stall: s.StallTimeout, refusals: s.Refusals, engine: e, metrics: m,
		log: log}
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(s.MaxMessageBytes),
		grpc.MaxHeaderListSize(uint32(s.MaxHeaderBytes)),
		grpc.ConnectionTimeout(s.HeaderTimeout),
		grpc.MaxConcurrentStreams(uint32(s.MaxStreams)),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.IdleTimeout, Time: s.StallTimeout, Timeout: s.StallTimeout,
		}),
		grpc.UnaryInterceptor(srv.unary),
		grpc.StreamInterceptor(srv.streaming),
	)
	healthServer := health.NewServer()
	healthServer.SetServingStatus(vmafv1.Scoring_ServiceDesc.ServiceName,
		grpc_health_v1.HealthCheckResponse_SERVING)
	vmafv1.RegisterScoringServer(g, srv)
	grpc_health_v1.RegisterHealthServer(g, healthServer)
	reflection.Register(g)
	return &Server{Server: g, Health: healthServer}
}

// Score implements the method of scoring.proto.
func (s *service) Score(ctx context.Context, r *vmafv1.ScoreRequest) (*vmafv1.Result, error) {
	start := time.Now()
	result, err := s.score(ctx, r)
	s.engine.Finished("grpc", err, time.Since(start))
	if err != nil {
		return nil, s.fail(err)
	}
	return toResult(result), nil
}

func (s *service) score(
	ctx context.Context, r *vmafv1.ScoreRequest,
) (result *scoring.Result, err error) {
	options, err := fromOptions(r.GetOptions())
	if err != nil {
		return nil, err
	}
	request := scoring.PathRequest{Reference: r.GetReference(), Distorted: r.GetDistorted(),
		Options: &options}
	if err := request.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.engine.Do(ctx, func(ctx context.Context) (err error) {
		result, err = s.engine.ScorePaths(ctx, request, nil)
		return err
	})
	return result, err
}

// bound returns a context that is also cancelled when the server cuts off its calls.
func (s *service) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.base, func() { cancel(context.Cause(s.base)) })
	return ctx, func() { stop(); cancel(nil) }
}

// ListModels implements the method of scoring.proto.
func (s *service) ListModels(
	context.Context, *vmafv1.ListModelsRequest,
) (*vmafv1.ListModelsResponse, error) {
	models, err := s.engine.Models()
	if err != nil {
		return nil, s.fail(err)
	}
	list := &vmafv1.ListModelsResponse{
		Libvmaf:      vmaf.Version(),
		DefaultModel: s.engine.DefaultModel(),
		Features:     scoring.FeatureNames(),
	}
	for _, m := range models {
		list.Models = append(list.Models,
			&vmafv1.ListModelsResponse_Model{Name: m.Name, BuiltIn: m.BuiltIn})
	}
	return list, nil
}

func (s *service) unary(ctx context.Context, r any, info *grpc.UnaryServerInfo,
	handle grpc.UnaryHandler) (resp any, err error) {
	defer s.finish(ctx, info.FullMethod, time.Now(), &err)
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, r)
}

func (s *service) streaming(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handle grpc.StreamHandler) (err error) {
	defer s.finish(stream.Context(), info.FullMethod, time.Now(), &err)
	if err := s.admit(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handle(srv, stream)
}

// admit returns an error if a call came on a reserved connection and is no health check.
func (s *service) admit(ctx context.Context, method string) error {
	client, known := peer.FromContext(ctx)
	if !known || !overload.IsReserved(client.Addr) ||
		strings.HasPrefix(method, "/"+grpc_health_v1.Health_ServiceDesc.ServiceName+"/") {
		return nil
	}
	return s.fail(scoring.Problemf(scoring.QueueFull,
		"too many connections are open; try again later"))
}

// finish counts and logs a call. It must be deferred, because it also converts a panic to an
// internal error, so that a bug does not end the server.
func (s *service) finish(ctx context.Context, method string, start time.Time, err *error) {
	if value := recover(); value != nil {
		*err = s.fail(fmt.Errorf("panic: %v", value))
	}
	code := status.Code(*err)
	s.metrics.GRPC.WithLabelValues(method, code.String()).Inc()
	level := slog.LevelInfo
	refused := errors.As(*err, new(refusal))
	if refused {
		s.refusals.Refused("grpc")
	}
	if refused || code == codes.OK && method != vmafv1.Scoring_Score_FullMethodName &&
		method != vmafv1.Scoring_ScoreStream_FullMethodName {
		level = slog.LevelDebug
	}
	s.log.Log(ctx, level, "call", "method", method, "code", code.String(),
		"seconds", time.Since(start).Seconds())
}
