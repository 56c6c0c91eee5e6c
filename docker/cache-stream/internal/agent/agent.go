package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"vmaf-images/cache-stream/internal/archive"
)

// Request is what the agent does with the tree in a directory.
type Request struct {
	// Verb is save, load, probe, ls, du or cat.
	Verb string `json:"verb"`
	// Path is a path in the mount, for ls, du and cat.
	Path string `json:"path,omitempty"`
	// LeaveOut are the patterns of paths that save does not archive.
	LeaveOut []string `json:"leave_out,omitempty"`
	// Expected is what the archive for load must be.
	Expected archive.Expected `json:"expected"`
	// Replace says that load may replace the files of a mount.
	Replace bool `json:"replace,omitempty"`
}

type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Run does what a request says, and returns the exit status. Results are on out, messages on err.
func Run(root string, request Request, in io.Reader, out, err io.Writer) int {
	reporter := NewReporter(err)
	message, failure := do(root, request, streams{in, out, err}, reporter)
	if failure != nil {
		message = Message{Event: Failed, Error: failure.Error(), Reason: reason(request, failure)}
	}
	reporter.Finish(message)
	if failure != nil {
		return 1
	}
	return 0
}

func reason(request Request, err error) string {
	var path *fs.PathError
	switch {
	case errors.Is(err, archive.ErrNotEmpty):
		return ReasonNotEmpty
	case request.Verb == "load" && !errors.As(err, &path):
		return ReasonArchive
	case errors.Is(err, fs.ErrNotExist):
		return ReasonPath
	}
	return ""
}

func do(root string, request Request, streams streams, reporter *Reporter) (Message, error) {
	done := Message{Event: Done}
	switch request.Verb {
	case "save":
		if _, err := archive.Recover(root); err != nil {
			return done, err
		}
		counted := &counter{hash: sha256.New(), out: streams.out}
		totals, err := archive.Pack(root, counted, request.LeaveOut, reporter.Report)
		done.Totals, done.Archive = totals, counted.bytes
		done.Digest = hex.EncodeToString(counted.hash.Sum(nil))
		return done, err
	case "load":
		done.Totals = request.Expected.Totals
		done.Digest = request.Expected.Digest
		return done, archive.Load(
			root, streams.in, request.Expected, request.Replace, reporter.Report,
		)
	case "probe":
		files, err := archive.HasFiles(root)
		if files {
			done.Files = 1
		}
		return done, err
	case "ls", "du", "cat":
		return done, look(root, request, streams.out)
	}
	return done, fmt.Errorf("unknown verb %q", request.Verb)
}

// counter passes bytes on and counts them.
type counter struct {
	hash  hash.Hash
	bytes int64
	out   io.Writer
}

func (c *counter) Write(data []byte) (int, error) {
	c.hash.Write(data)
	n, err := c.out.Write(data)
	c.bytes += int64(n)
	return n, err
}
