package scoring

import "context"

// gate lets a bounded number in, and a bounded number wait.
type gate struct {
	places, queue chan struct{}
	closed        <-chan struct{}
}

func newGate(places, queue int, closed <-chan struct{}) *gate {
	return &gate{make(chan struct{}, places), make(chan struct{}, queue), closed}
}

// enter waits for a place, which leave gives back.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	draining := Problemf(Draining, "the server shuts down")
	select {
	case <-g.closed:
		return nil, draining
	default:
	}
	leave = func() { <-g.places }
	select {
	case g.places <- struct{}{}:
		return leave, nil
	default:
	}
	select {
	case g.queue <- struct{}{}:
		defer func() { <-g.queue }()
	default:
		return nil, Problemf(QueueFull, "%d requests are being scored and %d wait: try again later", cap(g.places), cap(g.queue))
	}
	select {
	case g.places <- struct{}{}:
		return leave, nil
	case <-g.closed:
		return nil, draining
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
