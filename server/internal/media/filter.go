package media

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// LogPath is the path of the log that a filter graph writes for Filter.
const LogPath = "/dev/fd/3"

// ErrModel is what Filter returns if libvmaf cannot load the model of the graph.
var ErrModel = errors.New("libvmaf cannot load the model")

// Filter runs a filter graph on videos, and calls read with the log that a filter writes to
// LogPath. The sources of the videos are paths. It calls seen with the number of frames that have passed, from another goroutine. No
// file is written.
func (p Programs) Filter(ctx context.Context, inputs []*Video, graph string,
	read func(io.Reader) error, seen func(frames int),
) error {
	args := []string{"-nostdin", "-v", "error", "-progress", "pipe:4", "-stats_period", "0.5"}
	for _, v := range inputs {
		args = append(args, p.input(v.source, 0)...)
	}
	// A graph may be longer than an argument can be.
	args = append(args, "-/filter_complex", "/dev/fd/5", "-an", "-sn", "-dn", "-f", "null", "-")

	var pipes [3]struct{ from, to *os.File } // log, progress, graph
	for i := range pipes {
		var err error
		if pipes[i].from, pipes[i].to, err = os.Pipe(); err != nil {
			return err
		}
		defer pipes[i].from.Close()
		defer pipes[i].to.Close()
	}
	cmd, said, err := p.start(ctx, nil, []*os.File{pipes[0].to, pipes[1].to, pipes[2].from}, p.FFmpeg,
		args...)
	pipes[0].to.Close()
	pipes[1].to.Close()
	pipes[2].from.Close()
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	working.Add(2)
	go func() {
		defer working.Done()
		io.Copy(pipes[2].to, strings.NewReader(graph)) // an error is ffmpeg's, which reports its own
		pipes[2].to.Close()
	}()
	go func() {
		defer working.Done()
		for lines := bufio.NewScanner(pipes[1].from); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "frame="); ok && seen != nil {
				if frames, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
					seen(frames)
				}
			}
		}
	}()
	log, errLog := io.ReadAll(pipes[0].from)
	working.Wait()
	errExit := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errExit != nil:
		if text := said.text.String(); strings.Contains(text, "load libvmaf model") {
			return ErrModel
		}
		return fmt.Errorf("ffmpeg failed (%w): %s", errExit, said.first())
	case errLog != nil:
		return errLog
	case len(log) == 0:
		return errors.New("ffmpeg wrote no scores: " + said.last())
	}
	return read(bytes.NewReader(log))
}

// Version returns the version of ffmpeg.
func (p Programs) Version(ctx context.Context) (string, error) {
	var out bytes.Buffer
	cmd, said, err := p.start(ctx, &out, nil, p.FFmpeg, "-version")
	if err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("ffmpeg -version failed (%w): %s", err, said.first())
	}
	fields := strings.Fields(out.String())
	if len(fields) < 3 {
		return "", fmt.Errorf("ffmpeg -version printed %q", out.String())
	}
	return fields[2], nil
}
