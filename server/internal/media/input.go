// Package media reads video files with the programs ffprobe and ffmpeg.
package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vmaf-images/server/internal/sandbox"
)

// Programs reads videos with ffprobe and ffmpeg.
type Programs struct {
	// FFmpeg and FFprobe are paths, or names that are looked up on PATH.
	FFmpeg, FFprobe string
	// Sandbox is a command that starts a program in a sandbox; the path of the program and its
	// arguments follow it. Without it, programs are started as they are.
	Sandbox []string
	// Threads is the number of threads that decode a video. If it is 0, ffmpeg decides.
	Threads int
	// Limits are the limits of a video. Those that are 0 do not exist.
	Limits Limits
}

// OnPath are the programs on PATH, without a sandbox or limits.
var OnPath = Programs{FFmpeg: "ffmpeg", FFprobe: "ffprobe"}

// Limits are limits of a video.
type Limits struct {
	// Pixels is the number of pixels of a frame.
	Pixels int
	// Frames is the number of frames.
	Frames int
	// Duration is the time that the video takes to play.
	Duration time.Duration
	// CPU is the processor time of a program, which the sandbox sets.
	CPU time.Duration
}

// demuxers are the containers that may be read. Each of them reads the given file only:
// playlists, and formats that name other files, such as hls, dash, concat, image2 and sdp, are
// not among them.
const demuxers = "apng,asf,av1,avi,dirac,dnxhd,dv,evc,flv,gif,gxf,h261,h263,h264,hevc,ivf,jpeg_pipe," +
	"jpegxl_anim,jpegxl_pipe,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,png_pipe," +
	"rm,tiff_pipe,vc1,vvc,webp_anim,webp_pipe,wtv,yuv4mpegpipe"

// Source is a file to read.
type Source struct {
	// Name is the path of the file. With File, it is only a name for messages.
	Name string
	// File is read through a descriptor, so that a program in a sandbox needs no access to a path.
	File *os.File
}

// path returns a path at which this process can open the file, also if it has none any more.
func (s Source) path() string {
	if s.File == nil {
		return s.Name
	}
	return fmt.Sprintf("/proc/self/fd/%d", s.File.Fd())
}

// input returns the arguments with which ffmpeg and ffprobe open a file, and nothing else that the
// file names. fd is the descriptor that the program has for Source.File.
//
// The prefix "file:" makes a name such as "concat:a" or "-y" the name of a file.
func (p Programs) input(s Source, fd int) []string {
	var args []string
	if p.Threads > 0 {
		args = append(args, "-threads", strconv.Itoa(p.Threads))
	}
	if p.Limits.Pixels > 0 {
		args = append(args, "-max_pixels", strconv.Itoa(p.Limits.Pixels))
	}
	if s.File != nil {
		return append(args, "-protocol_whitelist", "fd", "-format_whitelist", demuxers,
			"-fd", strconv.Itoa(fd), "-i", "fd:")
	}
	return append(args, "-protocol_whitelist", "file", "-format_whitelist", demuxers,
		"-i", "file:"+s.Name)
}

// filterThreads returns the arguments that limit the threads of a filter graph. By default, ffmpeg
// starts one for each processor.
func (p Programs) filterThreads() []string {
	if p.Threads == 0 {
		return nil
	}
	return []string{"-filter_complex_threads", strconv.Itoa(p.Threads)}
}

// FileError says why a file cannot be scored.
type FileError struct {
	Path string
	// Reason completes the sentence "PATH ...".
	Reason string
	// Cause is ErrLimit, ErrTime or nil.
	Cause error
}

func (e *FileError) Error() string { return e.Path + " " + e.Reason }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Cause }

// The causes of a FileError that are not a fault of the file.
var (
	ErrLimit = errors.New("the video exceeds a limit")
	ErrTime  = errors.New("decoding takes too long")
)

func tooLarge(path, format string, a ...any) error {
	return &FileError{Path: path, Reason: fmt.Sprintf(format, a...), Cause: ErrLimit}
}

// Check returns a FileError unless the source is a regular file that can be read. A pipe could be
// read only once, and opening it waits for a writer.
func (s Source) Check() error {
	path := s.Name
	info, err := os.Stat(s.path())
	if err == nil && info.Mode().IsRegular() {
		var file *os.File
		if file, err = os.Open(s.path()); err == nil {
			file.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &FileError{Path: path, Reason: "does not exist; in a container, only what is mounted is there"}
	case errors.Is(err, fs.ErrPermission):
		return &FileError{Path: path, Reason: fmt.Sprintf("cannot be read by the user %d; "+
			"`chmod a+r` or `docker run --user` helps", os.Getuid())}
	case err != nil:
		return &FileError{Path: path, Reason: "cannot be read: " + err.Error()}
	case !info.Mode().IsRegular():
		return &FileError{Path: path, Reason: "is not a regular file"}
	case info.Size() == 0:
		return &FileError{Path: path, Reason: "is empty"}
	}
	return nil
}

// maxMessages is how much of a program's error output is kept, in bytes.
const maxMessages = 64 << 10

// messages keeps the beginning of the error output of a program, and counts its lines.
type messages struct {
	text  strings.Builder
	lines int
}

func (m *messages) Write(p []byte) (int, error) {
	m.lines += strings.Count(string(p), "\n")
	if room := maxMessages - m.text.Len(); room > 0 {
		m.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// first returns the first line, without the name of the part of FFmpeg that printed it.
func (m *messages) first() string {
	line, _, _ := strings.Cut(m.text.String(), "\n")
	if strings.HasPrefix(line, "[") {
		if _, rest, ok := strings.Cut(line, "] "); ok {
			line = rest
		}
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "fd:: ")
}

// last returns the last line that has text.
func (m *messages) last() string {
	lines := strings.Split(strings.TrimSpace(m.text.String()), "\n")
	return lines[len(lines)-1]
}

// start starts a program whose error output is kept. The files are its descriptors 3, 4, ...
func (p Programs) start(ctx context.Context, stdout io.Writer, files []*os.File, name string,
	args ...string,
) (*exec.Cmd, *messages, error) {
	m := &messages{}
	command := append(append(slices.Clone(p.Sandbox), name), args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, m, files
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}
	return cmd, m, nil
}

// open opens the file of a source once more, so that each program reads it from its beginning. The
// result is empty if the program opens the path itself.
func (s Source) open() ([]*os.File, error) {
	if s.File == nil {
		return nil, nil
	}
	file, err := os.Open(s.path())
	return []*os.File{file}, err
}

// outOfMemory are what FFmpeg says if the system gives it no memory for a frame, or for the stack of
// a thread.
var outOfMemory = []string{"Cannot allocate memory", "get_buffer() failed", "pthread_create() failed"}

// stopped returns an error if a limit of the sandbox stopped a program, or the sandbox failed. ffmpeg
// also succeeds if it lacks memory for some of the frames, or if some are too large for it.
func (p Programs) stopped(path string, cmd *exec.Cmd, said *messages) error {
	state := cmd.ProcessState
	status, ok := state.Sys().(syscall.WaitStatus)
	text := said.text.String()
	switch {
	case len(p.Sandbox) == 0 || !ok:
		return nil
	case state.ExitCode() == sandbox.Failed:
		return errors.New("the sandbox failed: " + said.last())
	case status.Signaled() && p.Limits.CPU > 0 &&
		state.UserTime()+state.SystemTime() >= p.Limits.CPU-time.Second:
		return &FileError{Path: path, Cause: ErrTime, Reason: fmt.Sprintf(
			"needs more than %s of processor time to be decoded", p.Limits.CPU)}
	case status.Signaled():
		return &FileError{Path: path, Reason: fmt.Sprintf("cannot be decoded: the decoder was ended "+
			"by the signal %q", status.Signal())}
	}
	if above := p.aboveLimit(path, text); above != nil {
		return above
	}
	for _, sign := range outOfMemory {
		if strings.Contains(text, sign) {
			return tooLarge(path, "needs more memory to be decoded than the limit")
		}
	}
	return nil
}

// invalidSize is what FFmpeg says of a size that is above its own limit, or is zero.
var invalidSize = regexp.MustCompile(`Picture size (\d+)x(\d+) is invalid`)

// aboveLimit returns an error if FFmpeg refused the size of a frame.
func (p Programs) aboveLimit(path, said string) error {
	if p.Limits.Pixels == 0 {
		return nil
	}
	above := strings.Contains(said, "exceeds specified max pixel count")
	if size := invalidSize.FindStringSubmatch(said); size != nil {
		width, _ := strconv.ParseFloat(size[1], 64)
		height, _ := strconv.ParseFloat(size[2], 64)
		above = above || width*height > float64(p.Limits.Pixels)
	}
	if above {
		return tooLarge(path, "has a frame of more than the limit of %d pixels", p.Limits.Pixels)
	}
	return nil
}
