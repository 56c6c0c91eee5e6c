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
	"strings"
)

// Programs that are looked up on PATH.
const (
	FFmpeg  = "ffmpeg"
	FFprobe = "ffprobe"
)

// demuxers are the containers that may be read. Each of them reads the given file only:
// playlists, and formats that name other files, such as hls, dash, concat, image2 and sdp, are
// not among them.
const demuxers = "apng,asf,av1,avi,dirac,dnxhd,dv,evc,flv,gif,gxf,h261,h263,h264,hevc,ivf,jpeg_pipe," +
	"jpegxl_anim,jpegxl_pipe,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,png_pipe," +
	"rm,tiff_pipe,vc1,vvc,webp_anim,webp_pipe,wtv,yuv4mpegpipe"

// Input returns the arguments with which ffmpeg and ffprobe open a file, and nothing else that the
// file names. The prefix "file:" makes a name such as "concat:a" or "-y" the name of a file.
func Input(path string) []string {
	return []string{"-protocol_whitelist", "file", "-format_whitelist", demuxers,
		"-i", "file:" + path}
}

// FileError says why a file cannot be scored.
type FileError struct {
	Path string
	// Reason completes the sentence "PATH ...".
	Reason string
}

func (e *FileError) Error() string { return e.Path + " " + e.Reason }

// CheckFile returns a FileError unless path is a regular file that can be read. A pipe could be
// read only once, and opening it waits for a writer.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			file.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &FileError{path, "does not exist; in a container, only what is mounted is there"}
	case errors.Is(err, fs.ErrPermission):
		return &FileError{path, fmt.Sprintf("cannot be read by the user %d; "+
			"`chmod a+r` or `docker run --user` helps", os.Getuid())}
	case err != nil:
		return &FileError{path, "cannot be read: " + err.Error()}
	case !info.Mode().IsRegular():
		return &FileError{path, "is not a regular file"}
	case info.Size() == 0:
		return &FileError{path, "is empty"}
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
	return strings.TrimSpace(line)
}

// last returns the last line that has text.
func (m *messages) last() string {
	lines := strings.Split(strings.TrimSpace(m.text.String()), "\n")
	return lines[len(lines)-1]
}

// start starts a program whose error output is kept. The files are its descriptors 3, 4, ...
func start(ctx context.Context, stdout io.Writer, files []*os.File, name string, args ...string) (
	*exec.Cmd, *messages, error,
) {
	m := &messages{}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, m, files
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}
	return cmd, m, nil
}
