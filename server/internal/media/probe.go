package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Video describes the video stream of a file that is scored.
type Video struct {
	Path   string `json:"file"`
	Format string `json:"container"`
	Codec  string `json:"codec"`
	// Width and Height are in pixels, as displayed: after a rotation that the file asks for.
	Width  int `json:"width"`
	Height int `json:"height"`
	// PixelAspect is the width of a pixel divided by its height.
	PixelAspect float64 `json:"pixel_aspect"`
	PixelFormat string  `json:"pixel_format"`
	// Depth is in bits a sample.
	Depth int `json:"depth"`
	// Chroma is "420", "422" or "444": the one of libvmaf's formats that has the chroma's detail.
	Chroma string `json:"chroma"`
	// Rotation is in degrees.
	Rotation int `json:"rotation,omitempty"`
	// Range is "tv" or "pc"; Matrix and Transfer are FFmpeg's names. Unknown values are empty.
	Range    string `json:"range,omitempty"`
	Matrix   string `json:"matrix,omitempty"`
	Transfer string `json:"transfer,omitempty"`
	// FieldOrder is FFmpeg's name, such as "progressive" or "tt".
	FieldOrder string `json:"field_order,omitempty"`
	// Streams is the number of video streams; the first is scored.
	Streams int `json:"-"`
	// index is the stream's number in the file.
	index  int
	source Source
}

// Aspect returns the width of the displayed picture divided by its height.
func (v *Video) Aspect() float64 {
	return float64(v.Width) * v.PixelAspect / float64(v.Height)
}

// Index returns the number of the video stream in its file.
func (v *Video) Index() int { return v.index }

// Size returns the size in words.
func (v *Video) Size() string { return fmt.Sprintf("%dx%d", v.Width, v.Height) }

type probed struct {
	Streams []struct {
		Index             int            `json:"index"`
		Type              string         `json:"codec_type"`
		Codec             string         `json:"codec_name"`
		Width             int            `json:"width"`
		Height            int            `json:"height"`
		SampleAspectRatio string         `json:"sample_aspect_ratio"`
		PixelFormat       string         `json:"pix_fmt"`
		Range             string         `json:"color_range"`
		Matrix            string         `json:"color_space"`
		Transfer          string         `json:"color_transfer"`
		FieldOrder        string         `json:"field_order"`
		Disposition       map[string]int `json:"disposition"`
		SideData          []struct {
			Rotation float64 `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"` // in seconds
	} `json:"format"`
	// PixelFormats are all formats that ffprobe knows.
	PixelFormats []pixelFormat `json:"pixel_formats"`
}

type pixelFormat struct {
	Name       string `json:"name"`
	ChromaW    int    `json:"log2_chroma_w"`
	ChromaH    int    `json:"log2_chroma_h"`
	Components []struct {
		Depth int `json:"bit_depth"`
	} `json:"components"`
}

func (f pixelFormat) chroma() string {
	switch {
	case len(f.Components) < 3 || f.ChromaW > 0 && f.ChromaH > 0: // grey or 4:2:0
		return "420"
	case f.ChromaW > 0:
		return "422"
	}
	return "444"
}

func (f pixelFormat) depth() int {
	depth := 0
	for _, component := range f.Components {
		depth = max(depth, component.Depth)
	}
	return depth
}

// maxProbed is how much ffprobe may print about a file, in bytes.
const maxProbed = 16 << 20

// limited keeps a bounded number of bytes.
type limited struct {
	bytes.Buffer
	limit int
}

var errTooMuch = errors.New("the output is too long")

func (w *limited) Write(p []byte) (int, error) {
	if w.Len()+len(p) > w.limit {
		return 0, errTooMuch
	}
	return w.Buffer.Write(p)
}

// Probe describes a file. It returns a FileError if the file has no video that can be scored.
func (p Programs) Probe(ctx context.Context, s Source) (*Video, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	files, err := s.open()
	if err != nil {
		return nil, err
	}
	args := append([]string{"-v", "error", "-show_streams", "-show_format", "-show_pixel_formats",
		"-of", "json"}, p.input(s, 3)...)
	out := &limited{limit: maxProbed}
	cmd, said, err := p.start(ctx, out, files, p.FFprobe, args...)
	closeAll(files)
	if err != nil {
		return nil, err
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errTooMuch):
		return nil, tooLarge(s.Name, "has more streams or metadata than the limit of %d bytes",
			maxProbed)
	case err != nil:
		if stopped := p.stopped(s.Name, cmd, said); stopped != nil {
			return nil, stopped
		}
		return nil, &FileError{Path: s.Name, Reason: refused(s, said)}
	}
	v, err := p.read(s.Name, out.Bytes())
	if err != nil {
		if above := p.aboveLimit(s.Name, said.text.String()); above != nil {
			return nil, above
		}
		return nil, err
	}
	v.source = s
	return v, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// refused says why ffprobe could not open a file.
func refused(s Source, said *messages) string {
	text := said.text.String()
	switch {
	case strings.Contains(text, "not in allowed list"), strings.Contains(text, "whitelist"),
		strings.Contains(text, "Not detecting m3u8"):
		return "is not a video file, but names other files or is of a kind that may: only " +
			"containers that hold their video are read"
	case strings.Contains(text, "moov atom not found") && isMP4(s.path()):
		return "is incomplete: its index (the moov atom) is missing, as in a file that is still " +
			"being written or was cut off"
	}
	return "is not a video that FFmpeg can read: " + said.first()
}

// isMP4 reports whether a file begins like MP4, whatever its name is.
func isMP4(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, 8)
	_, err = io.ReadFull(file, head)
	return err == nil && slices.Contains([]string{"ftyp", "mdat", "free", "wide"}, string(head[4:]))
}

// read reads ffprobe's output.
func (p Programs) read(path string, output []byte) (*Video, error) {
	var out probed
	if err := json.Unmarshal(output, &out); err != nil {
		return nil, fmt.Errorf("ffprobe's output for %s cannot be read: %w", path, err)
	}
	var found *Video
	others := 0
	for _, s := range out.Streams {
		if s.Type != "video" || s.Disposition["attached_pic"] == 1 {
			others++
			continue
		}
		if found != nil {
			found.Streams++
			continue
		}
		found = &Video{Path: path, Format: out.Format.Name, Codec: s.Codec, Width: s.Width,
			Height: s.Height, PixelAspect: ratio(s.SampleAspectRatio), PixelFormat: s.PixelFormat,
			Range: known(s.Range), Matrix: known(s.Matrix),
			Transfer: known(s.Transfer), FieldOrder: known(s.FieldOrder), Streams: 1,
			index: s.Index}
		if strings.HasPrefix(s.PixelFormat, "yuvj") {
			found.Range = "pc"
		}
		for _, format := range out.PixelFormats {
			if format.Name == s.PixelFormat {
				found.Depth, found.Chroma = format.depth(), format.chroma()
			}
		}
		for _, side := range s.SideData {
			found.Rotation = int(math.Round(side.Rotation))
		}
		if found.Rotation%180 != 0 { // FFmpeg turns the picture by itself
			found.Width, found.Height = found.Height, found.Width
			found.PixelAspect = 1 / found.PixelAspect
		}
	}
	switch {
	case found == nil && others > 0:
		return nil, &FileError{Path: path, Reason: "has no video stream, only sound, subtitles or cover pictures"}
	case found == nil:
		return nil, &FileError{Path: path, Reason: "has no video stream"}
	case found.Width <= 0 || found.Height <= 0 || found.Depth == 0:
		return nil, &FileError{Path: path, Reason: "has a video stream whose size or format is unknown; its " +
			"beginning is damaged, or the codec " + strconv.Quote(found.Codec) + " is not supported"}
	}
	return found, p.checkLimits(found, out.Format.Duration)
}

// checkLimits returns an error if a video is above a limit by what its file says.
func (p Programs) checkLimits(v *Video, duration string) error {
	// A division cannot overflow.
	if limit := p.Limits.Pixels; limit > 0 && v.Width > limit/v.Height {
		return tooLarge(v.Path, "has frames of %s, above the limit of %d pixels", v.Size(), limit)
	}
	seconds, err := strconv.ParseFloat(duration, 64)
	if limit := p.Limits.Duration; limit > 0 && err == nil && seconds > limit.Seconds() {
		return tooLarge(v.Path, "takes %.0f s, above the limit of %s", seconds, limit)
	}
	return nil
}

// known returns an empty string for values that say nothing.
func known(value string) string {
	if value == "unknown" || value == "unspecified" || value == "reserved" {
		return ""
	}
	return value
}

// ratio reads a ratio such as 16:15; it returns 1 if there is none.
func ratio(text string) float64 {
	a, b, ok := strings.Cut(text, ":")
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if !ok || errX != nil || errY != nil || x <= 0 || y <= 0 {
		return 1
	}
	return x / y
}
