package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress shows how far the work is: on a terminal in a line that is overwritten, elsewhere in a
// line every ten seconds.
type progress struct {
	out      io.Writer
	terminal bool
	every    time.Duration

	mu    sync.Mutex
	last  time.Time
	shown bool
}

func newProgress(out *os.File, quiet bool) *progress {
	p := &progress{out: out, every: 10 * time.Second, last: time.Now()}
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.terminal, p.every = true, 200*time.Millisecond
	}
	if quiet {
		p.out = io.Discard
	}
	return p
}

// task returns a function that is called with the number of frames done. total may be 0.
func (p *progress) task(what string, total int) func(frames int) {
	begun := time.Now()
	return func(frames int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		now := time.Now()
		if now.Sub(p.last) < p.every {
			return
		}
		p.last, p.shown = now, true
		text := fmt.Sprintf("%s: %d frames", what, frames)
		if total > 0 {
			text = fmt.Sprintf("%s: %d of %d frames", what, frames, total)
		}
		text += fmt.Sprintf(", %.0f a second", float64(frames)/now.Sub(begun).Seconds())
		if p.terminal {
			fmt.Fprintf(p.out, "\r\033[K%s", text)
		} else {
			fmt.Fprintln(p.out, text)
		}
	}
}

// clear removes the line from the terminal.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.shown {
		fmt.Fprint(p.out, "\r\033[K")
		p.shown = false
	}
}
