package media

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Converted are the frames of a video after a filter chain, as a Y4M file to read.
type Converted struct {
	programs Programs
	video    *Video
	ctx      context.Context
	cancel   context.CancelFunc
	pipe     *os.File
	cmd      *exec.Cmd
	said     *messages
	ended    bool
	err      error
}

// pipeBytes is the size of the pipe that frames pass. The default of 64 KiB is a small part of a
// frame, and each time it is full or empty, a process has to wait for the other one.
const pipeBytes = 1 << 20

// Convert decodes a video, and passes its frames through a filter chain. Only a few frames are in
// memory at a time. The caller must close the result.
func (p Programs) Convert(ctx context.Context, v *Video, chain string) (*Converted, error) {
	files, err := v.source.open()
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	frames, framesOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer framesOut.Close()
	// A user may have used up the memory for large pipes; then it keeps its size.
	_, _ = unix.FcntlInt(framesOut.Fd(), unix.F_SETPIPE_SZ, pipeBytes)
	graphFrom, graph, err := os.Pipe()
	if err != nil {
		frames.Close()
		return nil, err
	}
	defer graphFrom.Close()
	args := append([]string{"-nostdin", "-v", "error"}, p.input(v.source, 5)...)
	// A graph may be longer than an argument can be.
	args = append(append(args, p.filterThreads()...), "-/filter_complex", "/dev/fd/4",
		"-map", "[frames]", "-fps_mode", "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:3")
	c := &Converted{programs: p, video: v, pipe: frames}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.cmd, c.said, err = p.start(c.ctx, nil, append([]*os.File{framesOut, graphFrom}, files...),
		p.FFmpeg, args...)
	if err != nil {
		c.cancel()
		frames.Close()
		graph.Close()
		return nil, err
	}
	go func() {
		// An error is ffmpeg's, which reports its own.
		_, _ = io.Copy(graph, strings.NewReader(chain+"[frames]"))
		graph.Close()
	}()
	return c, nil
}

// Read returns a FileError instead of the end of the file if the video was not decoded to its end.
func (c *Converted) Read(b []byte) (int, error) {
	n, err := c.pipe.Read(b)
	if errors.Is(err, io.EOF) {
		if failed := c.wait(); failed != nil {
			err = failed
		}
	}
	return n, err
}

// wait waits for the end of ffmpeg, and says why it failed.
func (c *Converted) wait() error {
	if c.ended {
		return c.err
	}
	c.ended = true
	failed := c.cmd.Wait()
	switch stopped := c.programs.stopped(c.video.Path, c.cmd, c.said); {
	case c.ctx.Err() != nil:
		c.err = context.Cause(c.ctx)
	case stopped != nil:
		c.err = stopped
	case failed != nil:
		c.err = &FileError{Path: c.video.Path, Reason: "cannot be decoded again: " + c.said.last()}
	}
	return c.err
}

// Close ends ffmpeg.
func (c *Converted) Close() {
	c.cancel()
	c.pipe.Close()
	_ = c.wait()
}
