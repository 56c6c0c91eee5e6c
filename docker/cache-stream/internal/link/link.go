// Package link connects the agent, which runs in a build step, with the program that started the
// build, through a socket that BuildKit forwards as it forwards the one of an SSH agent.
//
// A step with a socket is used instead of a container of the gateway API because BuildKit 0.13
// goes on waiting for a locked mount in the place of a client that has gone away, and then keeps
// the lock for good. A step that waits ends with its client.
//
// Each connection carries one stream in one direction. Its first byte says which.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/moby/buildkit/session/sshforward"
	"google.golang.org/grpc"
)

const (
	// Socket is the path of the socket in the step.
	Socket = "/run/cache-stream.sock"
	// ID is the name of the socket in a build.
	ID = "cache-stream"

	input    = 'i' // what the agent reads
	output   = 'o' // what it writes
	messages = 'm' // what it reports

	// patience is how long the agent waits for the client to have everything.
	patience = time.Minute
	piece    = 256 << 10
)

// Serve runs the agent with its streams, and returns its exit status.
func Serve(socket string, agent func(in io.Reader, out, messages io.Writer) int) int {
	streams := map[byte]*net.UnixConn{}
	for _, name := range []byte{input, output, messages} {
		stream, err := dial(socket, name)
		if err != nil {
			return 1
		}
		defer stream.Close()
		streams[name] = stream
	}
	status := agent(streams[input], streams[output], streams[messages])
	// BuildKit drops what it has not forwarded when the step ends, so the agent waits until the
	// client closes the last stream.
	for _, name := range []byte{output, messages} {
		if streams[name].CloseWrite() != nil {
			return 1
		}
	}
	_ = streams[messages].SetReadDeadline(time.Now().Add(patience))
	if _, err := streams[messages].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return 1
	}
	return status
}

func dial(socket string, name byte) (*net.UnixConn, error) {
	stream, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	_, err = stream.Write([]byte{name})
	return stream, err
}

// Client is the other end of the streams. It is attached to the session of the build.
type Client struct {
	in            io.Reader
	out, messages io.Writer
	written       chan struct{} // closed when the output has ended, with err
	err           error
}

// NewClient serves one agent. The reader may be nil.
func NewClient(in io.Reader, out, messages io.Writer) *Client {
	return &Client{in: in, out: out, messages: messages, written: make(chan struct{})}
}

// Err returns why the output of the agent could not be written.
func (c *Client) Err() error {
	select {
	case <-c.written:
		return c.err
	default:
		return nil
	}
}

// Register makes the client a part of a session.
func (c *Client) Register(server *grpc.Server) { sshforward.RegisterSSHServer(server, c) }

// CheckAgent tells BuildKit that the socket exists.
func (c *Client) CheckAgent(
	_ context.Context, request *sshforward.CheckAgentRequest,
) (*sshforward.CheckAgentResponse, error) {
	if request.ID != ID {
		return nil, fmt.Errorf("no socket %q", request.ID)
	}
	return &sshforward.CheckAgentResponse{}, nil
}

// ForwardAgent serves one connection of the agent; the stream is closed when it returns.
func (c *Client) ForwardAgent(stream sshforward.SSH_ForwardAgentServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if len(first.Data) == 0 {
		return errors.New("an empty message")
	}
	switch first.Data[0] {
	case input:
		return c.send(stream)
	case output:
		defer close(c.written)
		c.err = receive(stream, first.Data[1:], c.out)
		return c.err
	case messages:
		if err := receive(stream, first.Data[1:], c.messages); err != nil {
			return err
		}
		select {
		case <-c.written:
			return c.err
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return fmt.Errorf("unknown stream %q", first.Data[0])
}

func (c *Client) send(stream sshforward.SSH_ForwardAgentServer) error {
	if c.in == nil {
		return nil
	}
	buffer := make([]byte, piece)
	for {
		n, err := c.in.Read(buffer)
		if n > 0 {
			if err := stream.Send(&sshforward.BytesMessage{Data: buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func receive(stream sshforward.SSH_ForwardAgentServer, data []byte, out io.Writer) error {
	for {
		if _, err := out.Write(data); err != nil {
			return err
		}
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data = message.Data
	}
}
