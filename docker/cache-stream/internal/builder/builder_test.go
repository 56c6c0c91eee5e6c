package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

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

func TestBuildsAreFollowedToTheirEnd(t *testing.T) {
	defer func(s time.Duration) { silence = s }(silence)
	silence = 200 * time.Millisecond
	const started, done = `{"event":"started"}`, `{"event":"done"}`
	const failed = `{"event":"failed","error":"why"}`
	never := errors.New("it never ends")
	for name, test := range map[string]struct {
		messages []string
		end      error
		err      string
	}{
		"done":                       {[]string{started, done}, nil, ""},
		"falls silent":               {[]string{started}, never, "the builder was silent for 200ms"},
		"ends without a result":      {nil, nil, "the agent ended without a result"},
		"is killed":                  {[]string{started}, errors.New("exit code: 137"), "exit code: 137"},
		"fails":                      {[]string{started, failed}, errors.New("exit code: 1"), "why"},
		"a status without a message": {nil, errors.New("exit code: 2"), "exit code: 2"},
		"done, then an error":        {[]string{done}, errors.New("exit code: 1"), "exit code: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			messages := newMessages()
			solve := func(ctx context.Context) error {
				for _, message := range test.messages {
					fmt.Fprintln(messages, message)
				}
				if test.end == never {
					<-ctx.Done()
					return ctx.Err()
				}
				return test.end
			}
			err := follow(t.Context(), messages, func(agent.Message) {}, solve)
			if text := fmt.Sprint(err); (err == nil) != (test.err == "") || (err != nil && text != test.err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestInterruptedWaitEndsTheBuild(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("interrupted")
	ended := false
	err := follow(ctx, newMessages(), func(agent.Message) {}, func(ctx context.Context) error {
		cancel(reason)
		<-ctx.Done()
		ended = true
		return ctx.Err()
	})
	if !errors.Is(err, reason) || !ended {
		t.Errorf("%v, the build ended: %t", err, ended)
	}
}
