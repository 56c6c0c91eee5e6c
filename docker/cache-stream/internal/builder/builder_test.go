package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"vmaf-images/cache-stream/internal/agent"
)

func TestProgramsAreConnections(t *testing.T) {
	conn, err := dialStdio(io.Discard, "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "echo" {
		t.Errorf("%q %v", answer, err)
	}
}

func TestConnectionOfAProgramThatEndsIsClosed(t *testing.T) {
	conn, err := dialStdio(io.Discard, "true")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d %v", n, err)
	}
}

func TestUnknownAddressesFail(t *testing.T) {
	if _, err := Connect(t.Context(), "tcp://127.0.0.1:1", io.Discard); err == nil {
		t.Error("it connected")
	}
}

func TestMessagesAreReadFromPieces(t *testing.T) {
	m := newMessages()
	for _, piece := range []string{`{"event":"sta`, "rted\"}\n{\"event\"", ":\"done\"}\npanic: x\n"} {
		if n, err := m.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, want := range []agent.Message{
		{Event: agent.Started}, {Event: agent.Done}, {Event: agent.Progress, Error: "panic: x"},
	} {
		if got := <-m.lines; got != want {
			t.Errorf("%+v instead of %+v", got, want)
		}
	}
}

// container starts a process that writes messages and ends with a status, or never.
type container struct {
	gateway.Container
	messages []string
	ends     chan error
}

type process struct {
	gateway.ContainerProcess
	ends chan error
}

func (c container) Start(
	_ context.Context, request gateway.StartRequest,
) (gateway.ContainerProcess, error) {
	for _, message := range c.messages {
		fmt.Fprintln(request.Stderr, message)
	}
	return process{ends: c.ends}, nil
}

func (p process) Wait() error { return <-p.ends }

func TestProcessesEnd(t *testing.T) {
	defer func(s, f time.Duration) { silence, farewell = s, f }(silence, farewell)
	silence, farewell = 200*time.Millisecond, 10*time.Millisecond
	ended := func(err error) chan error {
		ends := make(chan error, 1)
		ends <- err
		return ends
	}
	const started, done = `{"event":"started"}`, `{"event":"done"}`
	for name, test := range map[string]struct {
		container container
		err       string
	}{
		"done":                       {container{messages: []string{started, done}, ends: ended(nil)}, ""},
		"done, and never ends":       {container{messages: []string{started, done}}, ""},
		"never starts":               {container{}, errSilent.Error()},
		"falls silent":               {container{messages: []string{started}}, "the builder was silent for 200ms"},
		"ends without a result":      {container{ends: ended(nil)}, "the agent ended without a result"},
		"is killed":                  {container{ends: ended(errors.New("exit code: 137"))}, "exit code: 137"},
		"fails":                      {container{messages: []string{`{"event":"failed","error":"why"}`}, ends: ended(errors.New("exit code: 1"))}, "why"},
		"fails, and never ends":      {container{messages: []string{`{"event":"failed","error":"why"}`}}, "why"},
		"a status without a message": {container{messages: []string{started}, ends: ended(errors.New("exit code: 2"))}, "exit code: 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.container.ends == nil {
				test.container.ends = make(chan error)
			}
			r := &run{out: io.Discard, report: func(agent.Message) {}}
			err := r.start(t.Context(), test.container)
			if text := fmt.Sprint(err); (err == nil) != (test.err == "") || (err != nil && text != test.err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
