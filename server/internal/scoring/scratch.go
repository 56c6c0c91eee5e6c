package scoring

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// Scratch keeps uploads on disk, in files that have no name and so end with
// the process at the latest.
type Scratch struct {
	dir  string
	max  int64
	used atomic.Int64
}

// Spool is one upload kept.
type Spool struct {
	file    *os.File
	size    int64
	scratch *Scratch
}

// Used is how many bytes are kept.
func (s *Scratch) Used() int64 { return s.used.Load() }

func (s *Scratch) create() (*os.File, error) {
	file, err := os.CreateTemp(s.dir, "vmaf-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Writable tells why nothing could be kept, if so.
func (s *Scratch) Writable() error {
	file, err := s.create()
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write([]byte{0})
	return err
}

// Keep reads src to its end. Its error comes back as it is.
func (s *Scratch) Keep(src io.Reader) (*Spool, error) {
	file, err := s.create()
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	spool := &Spool{file: file, scratch: s}
	// Not the reader's WriteTo nor the file's ReadFrom: each write is accounted for.
	_, err = io.CopyBuffer(spoolWriter{spool}, struct{ io.Reader }{src}, make([]byte, 256<<10))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		spool.Close()
		return nil, err
	}
	return spool, nil
}

// Read reads what was kept.
func (s *Spool) Read(p []byte) (int, error) { return s.file.Read(p) }

// Close gives the room back.
func (s *Spool) Close() error {
	s.scratch.used.Add(-s.size)
	s.size = 0
	return s.file.Close()
}

type spoolWriter struct{ spool *Spool }

func (w spoolWriter) Write(p []byte) (int, error) {
	s := w.spool
	s.size += int64(len(p))
	if s.scratch.used.Add(int64(len(p))) > s.scratch.max {
		return 0, Problemf(ScratchFull, "the server keeps uploads of %d bytes at most", s.scratch.max)
	}
	n, err := s.file.Write(p)
	if errors.Is(err, syscall.ENOSPC) {
		err = Problemf(ScratchFull, "the server's scratch folder is full")
	}
	return n, err
}
