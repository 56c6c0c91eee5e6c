package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/session/sshforward"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// forward serves a client as a session does, and returns a socket whose connections are forwarded
// to it as BuildKit does in a step.
func forward(t *testing.T, client *Client) string {
	t.Helper()
	directory := t.TempDir()
	listen := func(name string) (net.Listener, string) {
		path := filepath.Join(directory, name)
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener, path
	}
	session, address := listen("session")
	server := grpc.NewServer()
	client.Register(server)
	go func() { _ = server.Serve(session) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(
		"unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	socket, path := listen("socket")
	go func() {
		for {
			accepted, err := socket.Accept()
			if err != nil {
				return
			}
			stream, err := sshforward.NewSSHClient(conn).ForwardAgent(context.Background())
			if err != nil {
				accepted.Close()
				return
			}
			go func() {
				_ = sshforward.Copy(context.Background(), accepted, stream, stream.CloseSend)
			}()
		}
	}()
	return path
}

func TestStreamsArriveWhole(t *testing.T) {
	sent := strings.Repeat("archive", 500_000)
	var out, messages bytes.Buffer
	socket := forward(t, NewClient(strings.NewReader(sent), &out, &messages))
	status := Serve(socket, func(in io.Reader, out, messages io.Writer) int {
		if _, err := io.Copy(out, in); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(messages, "done\n")
		return 3
	})
	if status != 3 || out.String() != sent || messages.String() != "done\n" {
		t.Errorf("status %d, %d bytes, messages %q", status, out.Len(), messages.String())
	}
}

func TestNoInputIsEmpty(t *testing.T) {
	var messages bytes.Buffer
	socket := forward(t, NewClient(nil, io.Discard, &messages))
	status := Serve(socket, func(in io.Reader, _, _ io.Writer) int {
		data, err := io.ReadAll(in)
		if len(data) != 0 || err != nil {
			t.Errorf("%q %v", data, err)
		}
		return 0
	})
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestOutputThatCannotBeWrittenFails(t *testing.T) {
	client := NewClient(nil, full{}, io.Discard)
	Serve(forward(t, client), func(_ io.Reader, out, _ io.Writer) int {
		_, _ = out.Write([]byte("a few bytes"))
		return 0
	})
	if err := client.Err(); err == nil || err.Error() != "the disk is full" {
		t.Errorf("the error is %v", err)
	}
}

func TestNothingAnswers(t *testing.T) {
	if Serve(filepath.Join(t.TempDir(), "none"), nil) == 0 {
		t.Error("it succeeded")
	}
}

func TestOtherSocketsDoNotExist(t *testing.T) {
	client := NewClient(nil, nil, nil)
	for id, exists := range map[string]bool{ID: true, "default": false} {
		_, err := client.CheckAgent(t.Context(), &sshforward.CheckAgentRequest{ID: id})
		if (err == nil) != exists {
			t.Errorf("%s: %v", id, err)
		}
	}
}
