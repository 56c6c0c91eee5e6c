package scoring

import (
	"context"
	"errors"
	"testing"
)

// kind returns the kind of a Problem, and "" for any other error.
func kind(err error) Kind {
	var p *Problem
	if errors.As(err, &p) {
		return p.Kind
	}
	return ""
}

func TestGate(t *testing.T) {
	closed, closeGate := context.WithCancel(context.Background())
	defer closeGate()
	g := newGate(1, 1, closed.Done())
	leave, err := g.enter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan func())
	go func() {
		next, err := g.enter(context.Background())
		if err != nil {
			t.Error(err)
		}
		entered <- next
	}()
	for len(g.queue) == 0 {
	}
	if _, err := g.enter(context.Background()); kind(err) != QueueFull {
		t.Errorf("a third request with one slot and a queue of one: %v", err)
	}
	leave()
	leave = <-entered

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
	if len(g.queue) != 0 {
		t.Error("a cancelled request is still in the queue")
	}
	closeGate()
	if _, err := g.enter(context.Background()); kind(err) != Draining {
		t.Errorf("a closed gate: %v", err)
	}
	leave()
	if len(g.slots) != 0 {
		t.Error("a slot is still taken")
	}
}
