// Package agent is the part of the program that runs in a build step with the cache mount.
package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"vmaf-images/cache-stream/internal/archive"
)

// The events of messages.
const (
	Waiting  = "waiting"  // another step holds the mount
	Started  = "started"  // the agent runs
	Progress = "progress" // what was archived or extracted so far; also a sign of life
	Done     = "done"
	Failed   = "failed"
)

// The reasons of failures that the caller tells apart.
const (
	ReasonNotEmpty = "not-empty"
	ReasonArchive  = "archive"
	ReasonPath     = "path"
)

// Message is a line of JSON on standard error.
type Message struct {
	Event string `json:"event"`
	archive.Totals
	// Archive is the size of a complete archive in bytes, and Digest its SHA-256.
	Archive int64  `json:"archive,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Beat is the time between two signs of life.
const Beat = 500 * time.Millisecond

// Reporter writes messages, and the latest totals every Beat.
type Reporter struct {
	mutex   sync.Mutex
	out     io.Writer
	totals  archive.Totals
	stopped chan struct{}
}

// NewReporter writes the first message and starts to write signs of life.
func NewReporter(out io.Writer) *Reporter {
	r := &Reporter{out: out, stopped: make(chan struct{})}
	r.send(Message{Event: Started})
	go func() {
		ticker := time.NewTicker(Beat)
		defer ticker.Stop()
		for {
			select {
			case <-r.stopped:
				return
			case <-ticker.C:
				r.mutex.Lock()
				totals := r.totals
				r.mutex.Unlock()
				r.send(Message{Event: Progress, Totals: totals})
			}
		}
	}()
	return r
}

// Report stores the latest totals.
func (r *Reporter) Report(totals archive.Totals) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.totals = totals
}

// Finish writes the last message.
func (r *Reporter) Finish(message Message) {
	close(r.stopped)
	r.send(message)
}

func (r *Reporter) send(message Message) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	Write(r.out, message)
}

// Write writes a message as one line.
func Write(out io.Writer, message Message) {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // a Message has only texts and numbers
	}
	fmt.Fprintf(out, "%s\n", text)
}
