// Command vmaf-server scores video over HTTP and gRPC. docs/server.md is its manual.
package main

import (
	"cmp"
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
	"vmaf-images/server/internal/sandbox"
	"vmaf-images/server/internal/vmaf"
)

// version and revision are set by the linker: -X main.version=... -X main.revision=...
var version, revision string

// unknown replaces the version and the revision of a build that does not set them.
const unknown = "unknown"

// Exit codes.
const (
	success = iota
	failure
	misuse
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Flag {
		os.Exit(sandbox.Main(os.Args[2:], os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without its side effects on the process. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	c, err := config.Parse(args, os.LookupEnv)
	if err != nil {
		fmt.Fprintf(stderr, "vmaf-server: %v; see vmaf-server --help\n", err)
		return misuse
	}
	switch {
	case c.Help:
		c.Usage(stdout)
		return success
	case c.Version:
		fmt.Fprintf(stdout, "vmaf-server %s (%s), libvmaf %s\n",
			cmp.Or(version, unknown), cmp.Or(revision, unknown), vmaf.Version())
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
		log.Error("server failed", "error", err.Error())
		return failure
	}
	return success
}

// healthcheck returns an error unless the server that listens on address is ready. Like a
// listen address, address may have an empty or unspecified host.
func healthcheck(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	client := http.Client{Timeout: 4 * time.Second}
	resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}
