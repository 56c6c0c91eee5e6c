package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"

	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
)

// upload is a multipart body on its way: options, then the two videos. The
// second video is scored as it comes, against the first, which had to be kept.
type upload struct {
	body    io.Reader
	parts   *multipart.Reader
	options scoring.Options
	seen    map[string]bool
}

const peek = 64 << 10

func (s *server) scoreUpload(ctx context.Context, body io.Reader, boundary string, emit scoring.Emit) (*scoring.Result, error) {
	u := &upload{body: body, parts: multipart.NewReader(bufio.NewReaderSize(body, peek), boundary), seen: map[string]bool{}}
	first, err := u.next()
	if err == nil && first.FormName() == "options" {
		if err = u.readOptions(first, s.MaxOptionsBytes); err == nil {
			first, err = u.next()
		}
	}
	if err != nil {
		return nil, err
	}
	firstName := first.FormName()
	kept, err := s.keep(firstName, first)
	if err != nil {
		return nil, err
	}
	defer kept.Close()
	second, err := u.next()
	if err != nil {
		return nil, err
	}
	firstVideo, err := s.engine.Open(firstName, kept)
	if err != nil {
		return nil, err
	}
	secondVideo, err := s.engine.Open(second.FormName(), second)
	if err != nil {
		return nil, err
	}
	ref, dist := firstVideo, secondVideo
	if firstName == "distorted" {
		ref, dist = dist, ref
	}
	pairs, err := scoring.Y4MPairs(ref, dist)
	if err != nil {
		return nil, err
	}
	return s.engine.Score(ctx, u.options, &lastPairs{pairs, u}, emit)
}

// next returns the next part, one of the three, each once.
func (u *upload) next() (*part, error) {
	p, err := u.parts.NextRawPart()
	if errors.Is(err, io.EOF) {
		for _, name := range []string{"reference", "distorted"} {
			if !u.seen[name] {
				return nil, scoring.Problemf(scoring.BadRequest, "the part %q is missing", name)
			}
		}
	}
	if err != nil {
		return nil, scoring.Problemf(scoring.BadRequest, "the multipart body cannot be read: %w", err)
	}
	name := p.FormName()
	switch {
	case name != "options" && name != "reference" && name != "distorted":
		return nil, scoring.Problemf(scoring.BadRequest, "a part is called %.100q: options, reference and distorted may be sent", name)
	case u.seen[name]:
		return nil, scoring.Problemf(scoring.BadRequest, "the part %q is there twice", name)
	case name == "options" && len(u.seen) > 0:
		return nil, scoring.Problemf(scoring.BadRequest, "the part \"options\" must be the first")
	}
	u.seen[name] = true
	return &part{p}, nil
}

// part tells the end of the body from the end of a video.
type part struct{ *multipart.Part }

func (p *part) Read(b []byte) (int, error) {
	n, err := p.Part.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = scoring.Problemf(scoring.BadRequest, "the multipart body ends within the part %q", p.FormName())
	}
	return n, err
}

func (u *upload) readOptions(part io.Reader, limit int64) error {
	text, err := readAtMost(part, limit, "part \"options\"")
	if err != nil {
		return err
	}
	u.options, err = scoring.ParseOptions(text)
	return err
}

// keep spools a video, once its header has shown that it is one.
func (s *server) keep(which string, video io.Reader) (*scoring.Spool, error) {
	src := bufio.NewReaderSize(video, peek)
	head, err := src.Peek(y4m.MaxHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := s.engine.Open(which, bytes.NewReader(head)); err != nil {
		return nil, err
	}
	return s.engine.Scratch.Keep(src)
}

// lastPairs refuses parts after the second video.
type lastPairs struct {
	scoring.Pairs
	upload *upload
}

func (p *lastPairs) Next() error {
	err := p.Pairs.Next()
	if !errors.Is(err, io.EOF) {
		return err
	}
	if _, more := p.upload.parts.NextRawPart(); !errors.Is(more, io.EOF) {
		return scoring.Problemf(scoring.BadRequest, "the multipart body does not end after the second video")
	}
	if _, broken := io.Copy(io.Discard, p.upload.body); broken != nil {
		return broken
	}
	return err
}
