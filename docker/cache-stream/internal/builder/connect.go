// Package builder runs the agent beside a cache mount, through BuildKit's API.
package builder

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/moby/buildkit/client"
	"google.golang.org/grpc"
)

// Connect returns a client for a BuildKit at an address:
//
//	unix:///PATH          buildkitd
//	docker+unix:///PATH   the BuildKit of a Docker Engine
//	buildx://NAME         a builder of buildx, of any driver and with its certificates
//
// Errors of buildx are written to said.
func Connect(ctx context.Context, address string, said io.Writer) (*client.Client, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	switch scheme {
	case "unix":
		return client.New(ctx, address, large()...)
	case "docker+unix":
		return client.New(ctx, "", append(large(),
			client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return upgrade(ctx, rest, "/grpc", "h2c", nil)
			}),
			client.WithSessionDialer(func(
				ctx context.Context, protocol string, meta map[string][]string,
			) (net.Conn, error) {
				return upgrade(ctx, rest, "/session", protocol, meta)
			}))...)
	case "buildx":
		return client.New(ctx, "", append(large(),
			client.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				return dialStdio(said, "docker", "buildx", "dial-stdio", "--builder="+rest)
			}))...)
	}
	return nil, fmt.Errorf("unknown address %q", address)
}

// large returns the options for buffers and windows that suit a stream of hundreds of megabytes;
// gRPC's own suit short messages.
func large() []client.ClientOpt {
	return []client.ClientOpt{
		client.WithGRPCDialOption(grpc.WithReadBufferSize(512 << 10)),
		client.WithGRPCDialOption(grpc.WithWriteBufferSize(512 << 10)),
		client.WithGRPCDialOption(grpc.WithInitialWindowSize(8 << 20)),
		client.WithGRPCDialOption(grpc.WithInitialConnWindowSize(8 << 20)),
	}
}

// upgrade turns a request to a Docker Engine into a connection.
func upgrade(
	ctx context.Context, socket, path, protocol string, meta map[string][]string,
) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range meta {
		request.Header[name] = values
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", protocol)
	if err := request.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
		return nil, fmt.Errorf("the engine answered %s to %s", response.Status, path)
	}
	return &buffered{conn, reader}, nil
}

// buffered is a connection whose first bytes may have been read with the response.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b *buffered) Read(data []byte) (int, error) { return b.reader.Read(data) }

// dialStdio returns a connection to the standard input and output of a program.
func dialStdio(said io.Writer, command string, arguments ...string) (net.Conn, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	own, theirs := os.NewFile(uintptr(pair[0]), "own"), os.NewFile(uintptr(pair[1]), "theirs")
	defer own.Close()
	defer theirs.Close()
	conn, err := net.FileConn(own)
	if err != nil {
		return nil, err
	}
	program := exec.Command(command, arguments...)
	program.Stdin, program.Stdout, program.Stderr = theirs, theirs, said
	// It ends with this program, even if that is killed.
	program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := program.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	go func() { _ = program.Wait() }()
	return conn, nil
}
