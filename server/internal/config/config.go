// Package config reads the server's settings from flags and environment variables.
// Each setting has one of each, and the flag takes precedence.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/scoring"
)

// Config holds the settings.
type Config struct {
	scoring.Limits
	Jobs jobs.Settings

	HTTPAddress, GRPCAddress   string
	MaxBodyBytes               int64
	MaxOptionsBytes            int64
	MaxHeaderBytes             int
	GRPCMaxMessageBytes        int
	HeaderTimeout, IdleTimeout time.Duration
	StallTimeout, DrainTimeout time.Duration
	LogLevel                   slog.Level
	Help, Version, Healthcheck bool
	usage                      func(io.Writer)
}

// Usage writes the help text to w.
func (c *Config) Usage(w io.Writer) { c.usage(w) }

// otherStreams is the number of calls of a gRPC connection besides those that the server scores
// or that wait for it. 100 is the least that HTTP/2 recommends.
const otherStreams = 100

// MaxStreams returns the maximum number of concurrent calls of a gRPC connection.
func (c *Config) MaxStreams() int { return c.Concurrency + c.Queue + otherStreams }

// Parse reads the settings from the arguments args and from the environment, which lookup
// reads like os.LookupEnv.
func Parse(args []string, lookup func(string) (string, bool)) (*Config, error) {
	c := &Config{}
	cores := runtime.NumCPU()
	f := flag.NewFlagSet("vmaf-server", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}

	f.StringVar(&c.HTTPAddress, "http-address", ":8080", "listen `address` for HTTP")
	f.StringVar(&c.GRPCAddress, "grpc-address", ":9090", "listen `address` for gRPC")
	f.StringVar(&c.DataRoot, "data-root", "",
		"`directory` whose files requests may name; if unset, requests cannot name files")
	f.StringVar(&c.ModelDir, "model-dir", "", "`directory` of additional models in .json files")
	f.StringVar(&c.DefaultModel, "default-model", "vmaf_v0.6.1",
		"`model` for requests that name none")
	f.StringVar(&c.ScratchDir, "scratch-dir", os.TempDir(),
		"`directory` that stores the first video of an upload until the second arrives")
	f.Int64Var(&c.MaxScratchBytes, "max-scratch-bytes", 32<<30,
		"maximum `bytes` of all stored uploads together")
	f.Int64Var(&c.MaxBodyBytes, "max-body-bytes", 32<<30, "maximum `bytes` of an upload")
	f.Int64Var(&c.MaxOptionsBytes, "max-options-bytes", 64<<10,
		"maximum `bytes` of a JSON body or of the part \"options\"")
	f.IntVar(&c.MaxHeaderBytes, "max-header-bytes", 64<<10,
		"maximum `bytes` of a request's HTTP headers")
	f.IntVar(&c.MaxFramePixels, "max-frame-pixels", 8192*4320,
		"maximum `pixels` of a frame, width times height")
	f.IntVar(&c.MaxFrames, "max-frames", 100_000, "maximum `frames` of a video")
	f.IntVar(&c.MaxThreads, "max-threads", cores, "maximum `threads` that a request may set")
	f.IntVar(&c.Threads, "threads", 1, "`threads` for requests that do not set them")
	f.IntVar(&c.GRPCMaxMessageBytes, "grpc-max-message-bytes", 64<<20,
		"maximum `bytes` of a gRPC message, which holds a frame pair")
	f.IntVar(&c.Concurrency, "concurrency", cores, "maximum `requests` scored at the same time")
	f.IntVar(&c.Queue, "queue", 16, "maximum `requests` waiting to be scored")
	f.IntVar(&c.RefusalsPerSecond, "refusals-per-second", 100,
		"maximum `requests` refused in a second; others wait for their refusal")
	f.IntVar(&c.MaxConnections, "max-connections", 1024,
		"maximum open `connections`, of HTTP and of gRPC")
	f.StringVar(&c.Jobs.FFmpeg, "ffmpeg", "ffmpeg",
		"`program` that decodes the videos of jobs; the server takes no jobs if it is not found")
	f.StringVar(&c.Jobs.FFprobe, "ffprobe", "ffprobe", "`program` that describes them")
	f.IntVar(&c.Jobs.Keep.Queue, "job-queue", 64, "maximum `jobs` waiting or being uploaded")
	f.IntVar(&c.Jobs.Keep.Jobs, "max-jobs", 1000, "maximum `jobs` kept after their end")
	f.Int64Var(&c.Jobs.Keep.Bytes, "max-result-bytes", 256<<20,
		"maximum `bytes` of memory for the results of jobs")
	f.DurationVar(&c.Jobs.Keep.For, "job-ttl", time.Hour, "time that a job is kept after its end")
	f.DurationVar(&c.Jobs.Timeout, "job-timeout", 6*time.Hour,
		"time limit for a job, without its wait in the queue")
	f.DurationVar(&c.Jobs.Duration, "max-duration", 4*time.Hour,
		"maximum playing time of a job's video")
	f.Int64Var(&c.Jobs.Decoder.Memory, "decoder-memory", 4<<30,
		"maximum `bytes` of the address space of each process that decodes")
	f.DurationVar(&c.Jobs.Decoder.CPU, "decoder-cpu-time", 2*time.Hour,
		"maximum processor time of each process that decodes, in whole seconds")
	f.DurationVar(&c.HeaderTimeout, "header-timeout", 10*time.Second,
		"time limit for receiving a request's headers")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", time.Minute,
		"time limit for a connection between requests")
	f.DurationVar(&c.StallTimeout, "stall-timeout", 30*time.Second,
		"time limit for each read from and write to a client")
	f.DurationVar(&c.RequestTimeout, "request-timeout", time.Hour,
		"time limit for a request, including its wait in the queue")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", 8*time.Second,
		"time limit for running requests after SIGTERM or SIGINT")
	f.TextVar(&c.LogLevel, "log-level", slog.LevelInfo,
		"lowest `level` to log: debug, info, warn or error")
	f.VisitAll(func(s *flag.Flag) { s.Usage += " (" + variable(s.Name) + ")" })
	f.BoolVar(&c.Help, "help", false, "print this help and exit")
	f.BoolVar(&c.Version, "version", false, "print the version and exit")
	f.BoolVar(&c.Healthcheck, "healthcheck", false,
		"exit with code 0 if the server at --http-address is ready, otherwise with 1")

	if err := fromEnvironment(f, lookup); err != nil {
		return nil, err
	}
	if err := f.Parse(args); err != nil {
		// Package flag prints flags with one dash.
		dashes := strings.NewReplacer("flag -", "flag --", ": -", ": --")
		return nil, errors.New(dashes.Replace(err.Error()))
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	c.Jobs.Workers = c.Concurrency
	c.usage = func(w io.Writer) { usage(w, f) }
	return c, c.check()
}

// variable returns the name of a flag's environment variable.
func variable(name string) string {
	return "VMAF_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// fromEnvironment sets the flags whose environment variable is not empty. Boolean flags are
// commands, which have no variable.
func fromEnvironment(f *flag.FlagSet, lookup func(string) (string, bool)) (err error) {
	f.VisitAll(func(s *flag.Flag) {
		if b, ok := s.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			return
		}
		if value, set := lookup(variable(s.Name)); set && value != "" && err == nil {
			if bad := f.Set(s.Name, value); bad != nil {
				err = fmt.Errorf("invalid value %q for %s: %w", value, variable(s.Name), bad)
			}
		}
	})
	return err
}

func (c *Config) check() error {
	for _, s := range []struct {
		flag       string
		value, min int64
	}{
		{"max-scratch-bytes", c.MaxScratchBytes, 1},
		{"max-body-bytes", c.MaxBodyBytes, 1},
		{"max-options-bytes", c.MaxOptionsBytes, 1},
		{"max-header-bytes", int64(c.MaxHeaderBytes), 1},
		{"max-frame-pixels", int64(c.MaxFramePixels), 1},
		{"max-frames", int64(c.MaxFrames), 1},
		{"max-threads", int64(c.MaxThreads), 0},
		{"threads", int64(c.Threads), 0},
		{"grpc-max-message-bytes", int64(c.GRPCMaxMessageBytes), 1},
		{"concurrency", int64(c.Concurrency), 1},
		{"queue", int64(c.Queue), 0},
		{"refusals-per-second", int64(c.RefusalsPerSecond), 1},
		{"max-connections", int64(c.MaxConnections), 1},
		{"job-queue", int64(c.Jobs.Keep.Queue), 1},
		{"max-jobs", int64(c.Jobs.Keep.Jobs), 1},
		{"max-result-bytes", c.Jobs.Keep.Bytes, 1},
		{"job-ttl", int64(c.Jobs.Keep.For), 1},
		{"job-timeout", int64(c.Jobs.Timeout), 1},
		{"max-duration", int64(c.Jobs.Duration), 1},
		{"decoder-memory", c.Jobs.Decoder.Memory, 1},
		{"decoder-cpu-time", int64(c.Jobs.Decoder.CPU), int64(time.Second)},
		{"header-timeout", int64(c.HeaderTimeout), 1},
		{"idle-timeout", int64(c.IdleTimeout), 1},
		{"stall-timeout", int64(c.StallTimeout), 1},
		{"request-timeout", int64(c.RequestTimeout), 1},
		{"drain-timeout", int64(c.DrainTimeout), 0},
	} {
		if s.value < s.min {
			return fmt.Errorf("invalid value for --%s or %s: must be at least %d",
				s.flag, variable(s.flag), s.min)
		}
	}
	if c.MaxThreads > 256 {
		return fmt.Errorf("invalid value for --max-threads or %s: must be at most 256",
			variable("max-threads"))
	}
	if c.Threads > c.MaxThreads {
		return fmt.Errorf("--threads is %d, which exceeds --max-threads, %d",
			c.Threads, c.MaxThreads)
	}
	return nil
}

func usage(w io.Writer, f *flag.FlagSet) {
	fmt.Fprintln(w, "Usage: vmaf-server [flags]")
	fmt.Fprintln(w)
	fmt.Fprintln(w, "Score video over HTTP and gRPC. The environment variable in parentheses")
	fmt.Fprintln(w, "sets the same value as its flag; the flag takes precedence.")
	fmt.Fprintln(w)
	f.VisitAll(func(s *flag.Flag) {
		kind, text := flag.UnquoteUsage(s)
		if s.DefValue != "" && kind != "" {
			text += fmt.Sprintf("; default %s", s.DefValue)
		}
		fmt.Fprintf(w, "  %-34s %s\n", strings.TrimSpace("--"+s.Name+" "+kind), text)
	})
}
