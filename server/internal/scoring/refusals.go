package scoring

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// refusals delays the refusals of a full queue, so that at most a given number of them is sent
// in a second. A client that repeats its request as soon as it is refused would otherwise take
// processor time from the scoring, with each attempt.
type refusals struct {
	pace    *rate.Limiter
	waiting chan struct{}
	closed  <-chan struct{}
	after   func(time.Duration) <-chan time.Time // time.After
}

// tick is the interval at which refusals are sent. The requests of one interval are refused
// together: waking up for each of them interrupts the scoring more often.
const tick = 100 * time.Millisecond

// BytesOfRefusal is the number of bytes that take about as long to receive and discard as one
// request takes to refuse.
const BytesOfRefusal = 256 << 10

// newRefusals returns refusals that are sent at the given rate. At most waiting requests are
// delayed at the same time. When closed is closed, no request is delayed.
func newRefusals(pace rate.Limit, waiting int, closed <-chan struct{}) *refusals {
	return &refusals{
		pace:    rate.NewLimiter(pace, 1),
		waiting: make(chan struct{}, waiting),
		closed:  closed,
		after:   time.After,
	}
}

// postpone delays the next refusal by the time between two of them.
func (r *refusals) postpone() { r.pace.Reserve() }

// wait waits until a request may be refused, and returns nil. It returns full at once if too many
// requests wait already.
func (r *refusals) wait(ctx context.Context, full error) error {
	select {
	case r.waiting <- struct{}{}:
		defer func() { <-r.waiting }()
	default:
		return full
	}
	turn := r.pace.Reserve()
	now := time.Now()
	select {
	case <-r.after(now.Add(turn.Delay()).Truncate(tick).Add(tick).Sub(now)):
		return nil
	case <-r.closed:
		turn.Cancel()
		return errDraining
	case <-ctx.Done():
		turn.Cancel()
		return context.Cause(ctx)
	}
}
