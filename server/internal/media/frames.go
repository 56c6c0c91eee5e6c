package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// The size of a thumbnail, in pixels. It is small, so that two hours of video need 100 MB, and
// large enough to tell a frame from the next one where something moves.
const (
	ThumbWidth  = 32
	ThumbHeight = 18
	ThumbSize   = ThumbWidth * ThumbHeight
)

// Frames are the decoded frames of a video.
type Frames struct {
	// Times are the presentation times in seconds, one a frame.
	Times []float64
	// Tick is the precision of the times, in seconds.
	Tick float64
	// Thumbs are grey pictures of ThumbSize bytes, one a frame.
	Thumbs []byte
	// Errors counts what the decoder complained of; FirstError is the first complaint.
	Errors     int
	FirstError string
}

// Count returns the number of frames.
func (f *Frames) Count() int { return len(f.Times) }

// Thumb returns the grey picture of a frame.
func (f *Frames) Thumb(frame int) []byte {
	return f.Thumbs[frame*ThumbSize : (frame+1)*ThumbSize]
}

// Decode decodes a video once, and returns the time and a small picture of each frame. It calls
// seen with the number of frames so far, from another goroutine. It returns a FileError if there
// is none, or if there are more than the limits allow.
func (p Programs) Decode(ctx context.Context, v *Video, seen func(frames int)) (*Frames, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	files, err := v.source.open()
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	thumbs, thumbsOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer thumbs.Close()
	times, timesOut, err := os.Pipe()
	if err != nil {
		thumbsOut.Close()
		return nil, err
	}
	defer times.Close()
	args := append([]string{"-nostdin", "-v", "error", "-copyts"}, p.input(v.source, 5)...)
	args = append(append(args, p.filterThreads()...), "-filter_complex", fmt.Sprintf(
		"[0:%d]scale=%d:%d:flags=area,format=gray,split[thumbs][times]",
		v.index, ThumbWidth, ThumbHeight),
		"-map", "[thumbs]", "-threads", "1", "-fps_mode", "passthrough", "-enc_time_base", "filter",
		"-f", "rawvideo", "pipe:3",
		"-map", "[times]", "-threads", "1", "-fps_mode", "passthrough", "-enc_time_base", "filter",
		"-c:v", "rawvideo", "-f", "framecrc", "pipe:4")
	cmd, said, err := p.start(ctx, nil, append([]*os.File{thumbsOut, timesOut}, files...), p.FFmpeg,
		args...)
	thumbsOut.Close()
	timesOut.Close()
	if err != nil {
		return nil, err
	}
	frames := &Frames{}
	var errTimes error
	var reading sync.WaitGroup
	reading.Add(1)
	go func() {
		defer reading.Done()
		errTimes = frames.readTimes(times, p.Limits, seen)
		if errors.Is(errTimes, ErrLimit) {
			cancel()
		}
		io.Copy(io.Discard, times) // so that ffmpeg ends after an error here
	}()
	var errThumbs error
	frames.Thumbs, errThumbs = io.ReadAll(thumbs)
	reading.Wait()
	errExit := cmd.Wait()
	frames.Errors, frames.FirstError = said.lines, said.first()
	if outer.Err() != nil {
		return nil, context.Cause(outer)
	}
	var limit *FileError
	if errors.As(errTimes, &limit) {
		limit.Path = v.Path
		return nil, limit
	}
	if stopped := p.stopped(v.Path, cmd, said); stopped != nil {
		return nil, stopped
	}
	if err := errors.Join(errTimes, errThumbs); err != nil {
		return nil, fmt.Errorf("the frames of %s cannot be read: %w", v.Path, err)
	}
	if frames.Count() == 0 {
		reason := "has no frame that can be decoded"
		if said.lines > 0 {
			reason += ": " + said.first()
		}
		return nil, &FileError{Path: v.Path, Reason: reason}
	}
	if errExit != nil {
		return nil, &FileError{Path: v.Path, Reason: "cannot be decoded to its end: " + said.last()}
	}
	if len(frames.Thumbs) != frames.Count()*ThumbSize {
		return nil, fmt.Errorf("ffmpeg decoded %d frames of %s, and sent pictures of %d bytes",
			frames.Count(), v.Path, len(frames.Thumbs))
	}
	return frames, nil
}

// readTimes reads the lines of FFmpeg's framecrc format: stream, dts, pts, duration, size,
// checksum. It returns a FileError without a path at the first frame beyond a limit.
func (f *Frames) readTimes(from io.Reader, l Limits, seen func(int)) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		if base, ok := strings.CutPrefix(line, "#tb 0: "); ok {
			a, b, _ := strings.Cut(base, "/")
			x, errX := strconv.ParseFloat(a, 64)
			y, errY := strconv.ParseFloat(b, 64)
			if errX != nil || errY != nil || x <= 0 || y <= 0 {
				return fmt.Errorf("the time base is %q", base)
			}
			f.Tick = x / y
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ",")
		if len(fields) < 3 {
			return fmt.Errorf("not a frame: %q", line)
		}
		pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil {
			return fmt.Errorf("not a time: %q", line)
		}
		f.Times = append(f.Times, float64(pts)*f.Tick)
		if l.Frames > 0 && f.Count() > l.Frames {
			return tooLarge("", "has more frames than the limit of %d", l.Frames)
		}
		if l.Duration > 0 && f.Times[f.Count()-1]-f.Times[0] > l.Duration.Seconds() {
			return tooLarge("", "takes longer than the limit of %s", l.Duration)
		}
		if seen != nil {
			seen(len(f.Times))
		}
	}
	return lines.Err()
}
