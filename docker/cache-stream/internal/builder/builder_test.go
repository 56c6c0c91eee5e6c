package builder

import (
	"io"
	"testing"

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
