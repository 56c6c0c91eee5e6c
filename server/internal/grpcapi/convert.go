package grpcapi

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	vmafv1 "vmaf-images/server/api/vmaf/v1"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/vmaf"
	"vmaf-images/server/internal/y4m"
)

var code = map[scoring.Kind]codes.Code{
	scoring.BadRequest:   codes.InvalidArgument,
	scoring.BadOptions:   codes.InvalidArgument,
	scoring.PathRefused:  codes.PermissionDenied,
	scoring.NotFound:     codes.NotFound,
	scoring.Timeout:      codes.DeadlineExceeded,
	scoring.TooLarge:     codes.OutOfRange,
	scoring.BadVideo:     codes.InvalidArgument,
	scoring.VideosDiffer: codes.InvalidArgument,
	scoring.NotScorable:  codes.InvalidArgument,
	scoring.QueueFull:    codes.ResourceExhausted,
	scoring.Draining:     codes.Unavailable,
	scoring.ScratchFull:  codes.Unavailable,
	scoring.Internal:     codes.Internal,
	scoring.Cancelled:    codes.Canceled,
}

// fail converts an error to a status, and logs internal errors.
func (s *service) fail(err error) error {
	// gRPC's own errors, such as a message that is too large, have a status already.
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	p := scoring.AsProblem(err)
	if p.Kind == scoring.Internal {
		s.log.ErrorContext(context.Background(), "call failed", "error", err.Error())
	}
	st := status.New(code[p.Kind], p.Detail)
	if p.Kind == scoring.QueueFull {
		retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}
		if detailed, err := st.WithDetails(retry); err == nil {
			st = detailed
		}
	}
	if scoring.Overloaded(err) {
		return refusal{st.Err()}
	}
	return st.Err()
}

// refusal is the status of a request that the server could answer at another time.
type refusal struct{ error }

// GRPCStatus returns the status, for package status.
func (r refusal) GRPCStatus() *status.Status { return status.Convert(r.error) }

var chroma = map[vmafv1.Chroma]y4m.Chroma{
	vmafv1.Chroma_CHROMA_420: y4m.Chroma420,
	vmafv1.Chroma_CHROMA_422: y4m.Chroma422,
	vmafv1.Chroma_CHROMA_444: y4m.Chroma444,
}

func fromVideo(v *vmafv1.Video) y4m.Format {
	return y4m.Format{
		Width: int(v.GetWidth()), Height: int(v.GetHeight()),
		Chroma: chroma[v.GetChroma()], BitDepth: int(v.GetBitDepth()),
	}
}

func toVideo(f y4m.Format) *vmafv1.Video {
	v := &vmafv1.Video{Width: uint32(f.Width), Height: uint32(f.Height),
		BitDepth: uint32(f.BitDepth)}
	for wire, c := range chroma {
		if c == f.Chroma {
			v.Chroma = wire
		}
	}
	return v
}

var pooling = map[vmafv1.Pooling]string{
	vmafv1.Pooling_POOLING_MEAN:          "mean",
	vmafv1.Pooling_POOLING_HARMONIC_MEAN: "harmonic_mean",
	vmafv1.Pooling_POOLING_MIN:           "min",
	vmafv1.Pooling_POOLING_MAX:           "max",
}

// fromOptions converts options. Fields that are empty or zero get the server's defaults.
func fromOptions(o *vmafv1.Options) (scoring.Options, error) {
	options := scoring.Options{Models: o.GetModels(), Features: o.GetFeatures()}
	for _, p := range o.GetPooling() {
		name, known := pooling[p]
		if !known {
			return options, scoring.Problemf(scoring.BadOptions, "unknown pooling method %v", p)
		}
		options.Pooling = append(options.Pooling, name)
	}
	if n := int(o.GetSubsample()); n != 0 {
		options.Subsample = &n
	}
	if o != nil && o.Threads != nil {
		n := int(o.GetThreads())
		options.Threads = &n
	}
	return options, nil
}

func toResult(r *scoring.Result) *vmafv1.Result {
	out := &vmafv1.Result{
		Libvmaf: vmaf.Version(), Video: toVideo(r.Format),
		Frames: uint32(r.Frames), Scored: uint32(r.Scored),
		Subsample: uint32(r.Subsample), Threads: uint32(r.Threads), Seconds: r.Took.Seconds(),
	}
	for _, m := range r.Models {
		score := &vmafv1.ModelScore{Name: m.Name, Pooled: toPooled(m.Pooled)}
		if m.Stddev != nil {
			score.Bootstrap = &vmafv1.Bootstrap{
				Stddev: toPooled(m.Stddev), Ci95Low: toPooled(m.Low), Ci95High: toPooled(m.High),
			}
		}
		out.Models = append(out.Models, score)
	}
	for _, f := range r.Features {
		out.Features = append(out.Features,
			&vmafv1.FeatureScore{Name: f.Name, Pooled: toPooled(f.Pooled)})
	}
	return out
}

func toPooled(p scoring.Pooled) *vmafv1.Pooled {
	get := func(name string) *float64 {
		if v, ok := p[name]; ok {
			return &v
		}
		return nil
	}
	return &vmafv1.Pooled{Mean: get("mean"), HarmonicMean: get("harmonic_mean"), Min: get("min"),
		Max: get("max")}
}

func toFrame(f scoring.Frame) *vmafv1.FrameScores {
	return &vmafv1.FrameScores{Frame: uint32(f.Index), Models: toMap(f.Models),
		Features: toMap(f.Features)}
}

func toMap(values []scoring.Value) map[string]float64 {
	out := make(map[string]float64, len(values))
	for _, v := range values {
		out[v.Name] = v.Value
	}
	return out
}
