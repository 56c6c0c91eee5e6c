// Package config reads the server's settings: flags, and variables of the same
// name; the flag wins.
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

	"vmaf-images/server/internal/scoring"
)

// Config is all settings.
type Config struct {
	scoring.Limits

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

// Usage writes the list of settings.
func (c *Config) Usage(w io.Writer) { c.usage(w) }

// Parse reads the settings of words and of the environment.
func Parse(words []string, lookup func(string) (string, bool)) (*Config, error) {
	c := &Config{}
	cores := runtime.NumCPU()
	f := flag.NewFlagSet("vmaf-server", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}

	f.StringVar(&c.HTTPAddress, "http-address", ":8080", "where HTTP is served")
	f.StringVar(&c.GRPCAddress, "grpc-address", ":9090", "where gRPC is served")
	f.StringVar(&c.DataRoot, "data-root", "", "`folder` whose files requests may name; without one, they may name none")
	f.StringVar(&c.ModelDir, "model-dir", "", "`folder` of further models, .json")
	f.StringVar(&c.DefaultModel, "default-model", "vmaf_v0.6.1", "`model` that scores where a request names none")
	f.StringVar(&c.ScratchDir, "scratch-dir", os.TempDir(), "`folder` that keeps the first video of an upload")
	f.Int64Var(&c.MaxScratchBytes, "max-scratch-bytes", 32<<30, "`bytes` kept by all uploads together")
	f.Int64Var(&c.MaxBodyBytes, "max-body-bytes", 32<<30, "`bytes` of one upload")
	f.Int64Var(&c.MaxOptionsBytes, "max-options-bytes", 64<<10, "`bytes` of a JSON body, or of the part options")
	f.IntVar(&c.MaxHeaderBytes, "max-header-bytes", 64<<10, "`bytes` of a request's HTTP headers")
	f.IntVar(&c.MaxFramePixels, "max-frame-pixels", 8192*4320, "width times height of a frame")
	f.IntVar(&c.MaxFrames, "max-frames", 100_000, "frames of one video")
	f.IntVar(&c.MaxThreads, "max-threads", cores, "threads that a request may ask for")
	f.IntVar(&c.Threads, "threads", 1, "threads where a request asks for none")
	f.IntVar(&c.GRPCMaxMessageBytes, "grpc-max-message-bytes", 64<<20, "`bytes` of a message: one frame pair")
	f.IntVar(&c.Concurrency, "concurrency", cores, "requests scored at a time")
	f.IntVar(&c.Queue, "queue", 16, "requests that wait for a place")
	f.DurationVar(&c.HeaderTimeout, "header-timeout", 10*time.Second, "for a request's headers to come")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", time.Minute, "of a connection between requests")
	f.DurationVar(&c.StallTimeout, "stall-timeout", 30*time.Second, "for the next bytes to come or to go")
	f.DurationVar(&c.RequestTimeout, "request-timeout", time.Hour, "for a whole request, its wait included")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", 8*time.Second, "for running requests after SIGTERM or SIGINT")
	f.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	f.VisitAll(func(s *flag.Flag) { s.Usage += " (" + variable(s.Name) + ")" })
	f.BoolVar(&c.Help, "help", false, "show this")
	f.BoolVar(&c.Version, "version", false, "show the version")
	f.BoolVar(&c.Healthcheck, "healthcheck", false, "ask the server at --http-address whether it is ready: code 0 or 1")

	if err := fromEnvironment(f, lookup); err != nil {
		return nil, err
	}
	if err := f.Parse(words); err != nil {
		// Go writes flags with one dash.
		return nil, errors.New(strings.NewReplacer("flag -", "flag --", ": -", ": --").Replace(err.Error()))
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	c.usage = func(w io.Writer) { usage(w, f) }
	return c, c.check()
}

func variable(name string) string {
	return "VMAF_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

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
		{"header-timeout", int64(c.HeaderTimeout), 1},
		{"idle-timeout", int64(c.IdleTimeout), 1},
		{"stall-timeout", int64(c.StallTimeout), 1},
		{"request-timeout", int64(c.RequestTimeout), 1},
		{"drain-timeout", int64(c.DrainTimeout), 0},
	} {
		if s.value < s.min {
			return fmt.Errorf("invalid value for --%s or %s: it must be at least %d", s.flag, variable(s.flag), s.min)
		}
	}
	if c.MaxThreads > 256 {
		return errors.New("invalid value for --max-threads: it must be at most 256")
	}
	if c.Threads > c.MaxThreads {
		return fmt.Errorf("--threads is %d, above --max-threads, %d", c.Threads, c.MaxThreads)
	}
	return nil
}

func usage(w io.Writer, f *flag.FlagSet) {
	fmt.Fprintln(w, "vmaf-server scores video over HTTP and gRPC. Each flag may also be given as a variable.")
	fmt.Fprintln(w)
	f.VisitAll(func(s *flag.Flag) {
		kind, text := flag.UnquoteUsage(s)
		if s.DefValue != "" && kind != "" {
			text += fmt.Sprintf("; default %s", s.DefValue)
		}
		fmt.Fprintf(w, "  %-34s %s\n", strings.TrimSpace("--"+s.Name+" "+kind), text)
	})
}
