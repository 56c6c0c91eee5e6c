// Package y4m reads YUV4MPEG2 video frame by frame, directly into memory that the caller
// provides.
package y4m

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Chroma is the subsampling of the chroma planes.
type Chroma int

// The subsamplings that libvmaf supports.
const (
	Chroma420 Chroma = 420
	Chroma422 Chroma = 422
	Chroma444 Chroma = 444
)

func (c Chroma) String() string { return strconv.Itoa(int(c)) }

// Format is the format of a video. Both videos of a pair must have the same format.
type Format struct {
	Width, Height int
	Chroma        Chroma
	BitDepth      int
}

func (f Format) String() string {
	return fmt.Sprintf("%dx%d, 4:%c:%c, %d bit", f.Width, f.Height, f.Chroma.String()[1],
		f.Chroma.String()[2], f.BitDepth)
}

// Above reports whether a frame has more than the given number of pixels. It does not
// multiply width and height, which could overflow: a header may contain any size.
func (f Format) Above(pixels int) bool { return f.Width > pixels/f.Height }

// Validate returns a FormatError if libvmaf cannot score videos of this format.
func (f Format) Validate() error {
	switch {
	case f.Width < 1 || f.Height < 1:
		return Malformed("invalid size %dx%d", f.Width, f.Height)
	case f.Chroma != Chroma420 && f.Chroma != Chroma422 && f.Chroma != Chroma444:
		return Malformed("chroma must be 4:2:0, 4:2:2 or 4:4:4")
	case f.BitDepth != 8 && f.BitDepth != 10 && f.BitDepth != 12 && f.BitDepth != 16:
		return Malformed("bit depth %d must be 8, 10, 12 or 16", f.BitDepth)
	}
	return nil
}

// SampleBytes returns the size of a sample in bytes.
func (f Format) SampleBytes() int { return (f.BitDepth + 7) / 8 }

// plane returns the bytes in a row and the number of rows of plane i in a file.
func (f Format) plane(i int) (row, rows int) {
	row, rows = f.Width, f.Height
	if i > 0 && f.Chroma != Chroma444 {
		row = (row + 1) / 2
	}
	if i > 0 && f.Chroma == Chroma420 {
		rows = (rows + 1) / 2
	}
	return row * f.SampleBytes(), rows
}

// FrameBytes returns the size of a frame's samples in a file, in bytes.
func (f Format) FrameBytes() int {
	n := 0
	for i := range (Frame{}) {
		row, rows := f.plane(i)
		n += row * rows
	}
	return n
}

// Plane is the memory for one plane of a frame. It may have fewer columns and rows than the
// plane in the file, because libvmaf drops the last chroma column and row of an odd size.
type Plane struct {
	Data        []byte
	Stride, Row int // in bytes
	Rows        int
}

// Frame is the memory for the planes Y, Cb and Cr.
type Frame [3]Plane

// FormatError describes why a video is invalid or unsupported.
type FormatError string

func (e FormatError) Error() string { return string(e) }

// Malformed returns a FormatError with a message formatted like fmt.Sprintf does.
func Malformed(format string, a ...any) error { return FormatError(fmt.Sprintf(format, a...)) }

const (
	// MaxHeader is the length of the longest header that is accepted, in bytes. The vmaf
	// program accepts 255, and 80 for the header of a frame.
	MaxHeader      = 1024
	maxFrameHeader = 256
	bufferSize     = 64 << 10
	magic          = "YUV4MPEG2"
	frameMagic     = "FRAME"
)

// Reader reads the frames of a video.
type Reader struct {
	Format Format
	src    *bufio.Reader
	frames int
}

// NewReader reads the header of the video in src and returns a reader of its frames. It
// returns a FormatError if the header is invalid, and errors of src unchanged.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: bufio.NewReaderSize(src, bufferSize)}
	line, err := r.line(MaxHeader)
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, Malformed("the file is empty")
	}
	if !bytes.HasPrefix(line, []byte(magic)) || len(line) > len(magic) && line[len(magic)] != ' ' {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		return nil, Malformed("the file is not Y4M: it does not begin with %s", magic)
	}
	if err != nil {
		return nil, headerError(err, MaxHeader, "the header")
	}
	if err := r.parse(string(line[len(magic):])); err != nil {
		return nil, err
	}
	return r, r.Format.Validate()
}

// line reads up to the next newline and returns the bytes before it. It returns
// bufio.ErrBufferFull if there is no newline in the first limit bytes.
func (r *Reader) line(limit int) ([]byte, error) {
	var line []byte
	for len(line) < limit {
		b, err := r.src.ReadByte()
		if err != nil {
			return line, err
		}
		if b == '\n' {
			return line, nil
		}
		line = append(line, b)
	}
	return line, bufio.ErrBufferFull
}

// headerError describes an error of line. Errors of the source are returned unchanged.
func headerError(err error, limit int, what string) error {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Malformed("%s is longer than %d bytes", what, limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Malformed("the file ends within %s", what)
	}
	return err
}

func (r *Reader) parse(tags string) error {
	f := &r.Format
	f.Chroma, f.BitDepth = Chroma420, 8
	for _, tag := range strings.Fields(tags) {
		value := tag[1:]
		switch tag[0] {
		case 'W', 'H':
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return Malformed("the header has an invalid size, %q", tag)
			}
			if tag[0] == 'W' {
				f.Width = int(n)
			} else {
				f.Height = int(n)
			}
		case 'C':
			if err := f.parseChroma(value); err != nil {
				return err
			}
		case 'I':
			if value != "p" && value != "?" {
				return Malformed("interlaced video (I%s) is not supported, only progressive", value)
			}
		}
	}
	if f.Width == 0 || f.Height == 0 {
		return Malformed("the header has no width or no height")
	}
	return nil
}

func (f *Format) parseChroma(value string) error {
	switch value {
	case "420jpeg", "420mpeg2", "420paldv":
		value = "420" // They differ only in the position of the chroma samples.
	}
	chroma, depth, deep := strings.Cut(value, "p")
	if !deep {
		depth = "8"
	}
	f.BitDepth, _ = strconv.Atoi(depth)
	n, err := strconv.Atoi(chroma)
	f.Chroma = Chroma(n)
	if err != nil ||
		(Format{Width: 1, Height: 1, Chroma: f.Chroma, BitDepth: f.BitDepth}).Validate() != nil {
		return Malformed("chroma C%s is not supported; "+
			"it must be 420, 422 or 444, alone or with p10, p12 or p16", value)
	}
	return nil
}

// Next advances to the samples of the next frame. It returns io.EOF after the last frame.
func (r *Reader) Next() error {
	if _, err := r.src.Peek(1); err != nil {
		return err
	}
	line, err := r.line(maxFrameHeader)
	if err != nil && (len(line) < len(frameMagic) || bytes.HasPrefix(line, []byte(frameMagic))) {
		return headerError(err, maxFrameHeader, fmt.Sprintf("the header of frame %d", r.frames))
	}
	if !bytes.HasPrefix(line, []byte(frameMagic)) || len(line) > len(frameMagic) &&
		line[len(frameMagic)] != ' ' {
		return Malformed("frame %d does not begin with %s", r.frames, frameMagic)
	}
	r.frames++
	return nil
}

// Read reads the samples of the frame that Next advanced to into dst.
func (r *Reader) Read(dst Frame) error {
	err := r.Format.read(r.src, dst)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Malformed("the file ends within frame %d", r.frames-1)
	}
	var bad FormatError
	if errors.As(err, &bad) {
		return Malformed("frame %d: %s", r.frames-1, bad)
	}
	return err
}

// Copy copies the samples of a frame from src, where they are laid out as in a file, to dst.
func (f Format) Copy(dst Frame, src []byte) error {
	if len(src) != f.FrameBytes() {
		return Malformed("it has %d bytes, but a frame of %s has %d", len(src), f, f.FrameBytes())
	}
	return f.read(bytes.NewReader(src), dst)
}

func (f Format) read(src io.Reader, dst Frame) error {
	for i, p := range dst {
		row, rows := f.plane(i)
		if row == p.Row && row == p.Stride && rows == p.Rows {
			if _, err := io.ReadFull(src, p.Data); err != nil {
				return err
			}
		} else if err := p.readRows(src, row, rows); err != nil {
			return err
		}
		if err := f.check(p); err != nil {
			return err
		}
	}
	return nil
}

// readRows reads rows one by one, for a plane that is not laid out as in the file. It skips
// the columns and rows that p does not have.
func (p Plane) readRows(src io.Reader, row, rows int) error {
	for y := range rows {
		used := 0
		if y < p.Rows {
			used = p.Row
			if _, err := io.ReadFull(src, p.Data[y*p.Stride:][:used]); err != nil {
				return err
			}
		}
		if row > used {
			if _, err := io.CopyN(io.Discard, src, int64(row-used)); err != nil {
				return err
			}
		}
	}
	return nil
}

// check returns a FormatError if a sample has more bits than the bit depth. libvmaf uses
// samples as array indices, so it would access memory out of bounds.
func (f Format) check(p Plane) error {
	if f.BitDepth == 8 || f.BitDepth == 16 {
		return nil
	}
	above := uint16(0xffff) << f.BitDepth
	mask := uint64(above) * 0x0001_0001_0001_0001
	for y := range p.Rows {
		row := p.Data[y*p.Stride:][:p.Row]
		var or uint64
		for ; len(row) >= 8; row = row[8:] {
			or |= binary.LittleEndian.Uint64(row)
		}
		for ; len(row) >= 2; row = row[2:] {
			or |= uint64(binary.LittleEndian.Uint16(row))
		}
		if or&mask != 0 {
			return Malformed("a sample exceeds the bit depth of %d", f.BitDepth)
		}
	}
	return nil
}
