package scoring

import (
	"errors"
	"io"

	"vmaf-images/server/internal/y4m"
)

// Pairs gives the frames of two videos of one format.
type Pairs interface {
	Format() y4m.Format
	// Next goes to the next pair; io.EOF says that there is none.
	Next() error
	// Read reads the samples of that pair.
	Read(ref, dist y4m.Frame) error
}

type y4mPairs struct {
	ref, dist *y4m.Reader
	read      int
}

// Y4MPairs pairs the frames of two videos.
func Y4MPairs(ref, dist *y4m.Reader) (Pairs, error) {
	if ref.Format != dist.Format {
		return nil, Problemf(VideosDiffer, "the reference is %s, the distorted video %s", ref.Format, dist.Format)
	}
	return &y4mPairs{ref: ref, dist: dist}, nil
}

func (p *y4mPairs) Format() y4m.Format { return p.ref.Format }

func (p *y4mPairs) Next() error {
	errRef, errDist := p.ref.Next(), p.dist.Next()
	endRef, endDist := errors.Is(errRef, io.EOF), errors.Is(errDist, io.EOF)
	switch {
	case endRef && endDist:
		return io.EOF
	case errRef != nil && !endRef:
		return ofVideo("reference", errRef)
	case errDist != nil && !endDist:
		return ofVideo("distorted", errDist)
	case endRef && p.read == 0:
		return Problemf(BadVideo, "the reference has no frame")
	case endDist && p.read == 0:
		return Problemf(BadVideo, "the distorted video has no frame")
	case endRef:
		return Problemf(VideosDiffer, "the reference ends before the distorted video")
	case endDist:
		return Problemf(VideosDiffer, "the distorted video ends before the reference")
	}
	p.read++
	return nil
}

func (p *y4mPairs) Read(ref, dist y4m.Frame) error {
	if err := p.ref.Read(ref); err != nil {
		return ofVideo("reference", err)
	}
	if err := p.dist.Read(dist); err != nil {
		return ofVideo("distorted", err)
	}
	return nil
}
