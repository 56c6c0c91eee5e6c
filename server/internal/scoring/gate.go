package scoring

import "context"

var errDraining = Problemf(Draining, "the server is shutting down")

// gate limits the number of running requests and the number of waiting requests.
type gate struct {
	slots, queue chan struct{}
	closed       <-chan struct{}
}

// newGate returns a gate that refuses requests once closed is closed.
func newGate(slots, queue int, closed <-chan struct{}) *gate {
	return &gate{
		slots:  make(chan struct{}, slots),
		queue:  make(chan struct{}, queue),
		closed: closed,
	}
}

// enter waits for a free slot and takes it. The caller must call leave to free it.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-g.closed:
		return nil, errDraining
	default:
	}
	leave = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	select {
	case g.queue <- struct{}{}:
		defer func() { <-g.queue }()
	default:
		return nil, Problemf(QueueFull,
			"%d requests are being scored and %d are waiting; try again later",
			cap(g.slots), cap(g.queue))
	}
	return g.wait(ctx)
}

// wait is enter without a limit of the number of those that wait.
func (g *gate) wait(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-g.closed:
		return nil, errDraining
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
