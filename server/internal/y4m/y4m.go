// Package y4m reads YUV4MPEG2 video frame by frame, straight into memory of the
// caller's.
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

// Chroma is how the chroma planes are subsampled.
type Chroma int

// The subsamplings that libvmaf takes.
const (
	Chroma420 Chroma = 420
	Chroma422 Chroma = 422
	Chroma444 Chroma = 444
)

func (c Chroma) String() string { return strconv.Itoa(int(c)) }

// Format is what both videos of a pair must share.
type Format struct {
	Width, Height int
	Chroma        Chroma
	BitDepth      int
}

func (f Format) String() string {
	return fmt.Sprintf("%dx%d, 4:%c:%c, %d bit", f.Width, f.Height, f.Chroma.String()[1], f.Chroma.String()[2], f.BitDepth)
}

// Above tells whether a frame has more than so many pixels. What has not been
// asked must not be multiplied: a header may claim any size.
func (f Format) Above(pixels int) bool { return f.Width > pixels/f.Height }

// Validate refuses what is no format of a video that can be scored.
func (f Format) Validate() error {
	switch {
	case f.Width < 1 || f.Height < 1:
		return Malformed("a size of %dx%d is none", f.Width, f.Height)
	case f.Chroma != Chroma420 && f.Chroma != Chroma422 && f.Chroma != Chroma444:
		return Malformed("chroma is not 4:2:0, 4:2:2 or 4:4:4")
	case f.BitDepth != 8 && f.BitDepth != 10 && f.BitDepth != 12 && f.BitDepth != 16:
		return Malformed("a bit depth of %d is not 8, 10, 12 or 16", f.BitDepth)
	}
	return nil
}

// SampleBytes is how many bytes a sample takes.
func (f Format) SampleBytes() int { return (f.BitDepth + 7) / 8 }

// plane returns the bytes of a row and the rows of a plane as they are in a file.
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

// FrameBytes is the size of a frame in a file.
func (f Format) FrameBytes() int {
	n := 0
	for i := range (Frame{}) {
		row, rows := f.plane(i)
		n += row * rows
	}
	return n
}

// Plane is memory for one plane of a frame. It may have fewer columns and rows
// than the file: libvmaf drops the last of an odd size.
type Plane struct {
	Data              []byte
	Stride, Row, Rows int // in bytes, but for Rows
}

// Frame is memory for Y, Cb and Cr.
type Frame [3]Plane

// FormatError says what is wrong with a video.
type FormatError string

func (e FormatError) Error() string { return string(e) }

// Malformed returns a FormatError.
func Malformed(format string, a ...any) error { return FormatError(fmt.Sprintf(format, a...)) }

const (
	// MaxHeader is the longest header; the vmaf program takes 255.
	MaxHeader      = 1024
	maxFrameHeader = 256 // and here 80
	bufferSize     = 64 << 10
	magic          = "YUV4MPEG2"
	frameMagic     = "FRAME"
)

// Reader reads a video.
type Reader struct {
	Format Format
	src    *bufio.Reader
	frames int
}

// NewReader reads the header. Errors of src are returned as they are; a
// FormatError says what is wrong with the video.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: bufio.NewReaderSize(src, bufferSize)}
	line, err := r.line(MaxHeader)
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, Malformed("it is empty")
	}
	if !bytes.HasPrefix(line, []byte(magic)) || len(line) > len(magic) && line[len(magic)] != ' ' {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		return nil, Malformed("it is not Y4M: it does not begin with %s", magic)
	}
	if err != nil {
		return nil, headerError(err, MaxHeader, "the header")
	}
	if err := r.parse(string(line[len(magic):])); err != nil {
		return nil, err
	}
	return r, r.Format.Validate()
}

// line reads up to the next newline, which it drops, and at most limit bytes.
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

func headerError(err error, limit int, what string) error {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Malformed("%s is longer than %d bytes", what, limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Malformed("it ends within %s", what)
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
				return Malformed("the header's %q is no size", tag)
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
				return Malformed("it is interlaced (I%s), only progressive video is scored", value)
			}
		}
	}
	if f.Width == 0 || f.Height == 0 {
		return Malformed("the header gives no width or no height")
	}
	return nil
}

func (f *Format) parseChroma(value string) error {
	switch value {
	case "420jpeg", "420mpeg2", "420paldv": // the same samples, elsewhere sited
		value = "420"
	}
	chroma, depth, deep := strings.Cut(value, "p")
	if !deep {
		depth = "8"
	}
	f.BitDepth, _ = strconv.Atoi(depth)
	n, err := strconv.Atoi(chroma)
	f.Chroma = Chroma(n)
	if err != nil || (Format{1, 1, f.Chroma, f.BitDepth}).Validate() != nil {
		return Malformed("chroma C%s is not supported: 420, 422 or 444 is, alone or with p10, p12 or p16", value)
	}
	return nil
}

// Next goes to the next frame's samples; io.EOF says that there is none.
func (r *Reader) Next() error {
	if _, err := r.src.Peek(1); err != nil {
		return err
	}
	line, err := r.line(maxFrameHeader)
	if err != nil && (len(line) < len(frameMagic) || bytes.HasPrefix(line, []byte(frameMagic))) {
		return headerError(err, maxFrameHeader, fmt.Sprintf("the header of frame %d", r.frames))
	}
	if !bytes.HasPrefix(line, []byte(frameMagic)) || len(line) > len(frameMagic) && line[len(frameMagic)] != ' ' {
		return Malformed("frame %d does not begin with %s", r.frames, frameMagic)
	}
	r.frames++
	return nil
}

// Read reads the samples of the frame that Next found into dst.
func (r *Reader) Read(dst Frame) error {
	err := r.Format.read(r.src, dst)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Malformed("it ends within frame %d", r.frames-1)
	}
	var bad FormatError
	if errors.As(err, &bad) {
		return Malformed("frame %d: %s", r.frames-1, bad)
	}
	return err
}

// Copy reads a frame from its bytes, as they are in a file.
func (f Format) Copy(dst Frame, src []byte) error {
	if len(src) != f.FrameBytes() {
		return Malformed("it has %d bytes, a frame of %s has %d", len(src), f, f.FrameBytes())
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

// readRows reads rows that are not one after the other in memory.
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

// check refuses samples above the bit depth: libvmaf uses them as indices.
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
			return Malformed("a sample is above the largest of %d bits", f.BitDepth)
		}
	}
	return nil
}
