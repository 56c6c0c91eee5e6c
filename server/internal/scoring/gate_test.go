package scoring

import (
	"context"
	"errors"
	"testing"
)

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
		t.Errorf("a third is let in: %v", err)
	}
	leave()
	leave = <-entered

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone waits: %v", err)
	}
	if len(g.queue) != 0 {
		t.Error("who has gone keeps its turn")
	}
	closeGate()
	if _, err := g.enter(context.Background()); kind(err) != Draining {
		t.Errorf("a closed gate: %v", err)
	}
	leave()
	if len(g.places) != 0 {
		t.Error("a place is lost")
	}
}
