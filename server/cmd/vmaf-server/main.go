// vmaf-server scores video over HTTP and gRPC; docs/server.md says how.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vmaf-images/server/internal/config"
	"vmaf-images/server/internal/vmaf"
)

// Set by the linker: -X main.version=... -X main.revision=...
var version, revision string

// The exit codes.
const (
	success = iota
	failure
	misuse
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(words []string, stdout, stderr io.Writer) int {
	c, err := config.Parse(words, os.LookupEnv)
	if err != nil {
		fmt.Fprintf(stderr, "vmaf-server: %v; see vmaf-server --help\n", err)
		return misuse
	}
	switch {
	case c.Help:
		c.Usage(stdout)
		return success
	case c.Version:
		fmt.Fprintf(stdout, "vmaf-server %s (%s), libvmaf %s\n", or(version), or(revision), vmaf.Version())
		return success
	case c.Healthcheck:
		if err := healthcheck(c.HTTPAddress); err != nil {
			fmt.Fprintf(stderr, "vmaf-server: not ready: %v\n", err)
			return failure
		}
		return success
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, c, log); err != nil {
		log.Error("ended", "error", err.Error())
		return failure
	}
	return success
}

func or(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// healthcheck asks the server at an address, which may name no host, whether it is ready.
func healthcheck(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	client := http.Client{Timeout: 4 * time.Second}
	answer, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}
