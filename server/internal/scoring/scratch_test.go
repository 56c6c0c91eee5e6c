package scoring

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
)

func TestScratch(t *testing.T) {
	dir := t.TempDir()
	s := &Scratch{dir: dir, max: 1000}
	if err := s.Writable(); err != nil {
		t.Fatal(err)
	}
	spool, err := s.Store(bytes.NewReader(make([]byte, 600)))
	if err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("the scratch directory has files with names: %v", files)
	}
	if s.Used() != 600 {
		t.Errorf("%d bytes used", s.Used())
	}
	if _, err := s.Store(bytes.NewReader(make([]byte, 600))); kind(err) != ScratchFull {
		t.Errorf("an upload above the limit: %v", err)
	}
	if text, err := io.ReadAll(spool); len(text) != 600 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	spool.Close()
	broken := errors.New("broken")
	if _, err := s.Store(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
	if s.Used() != 0 {
		t.Errorf("%d bytes used", s.Used())
	}
	if (&Scratch{dir: dir + "/none"}).Writable() == nil {
		t.Error("a directory that does not exist is writable")
	}
}
