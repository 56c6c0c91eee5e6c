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
	kept, err := s.Keep(bytes.NewReader(make([]byte, 600)))
	if err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%v would outlive the process", files)
	}
	if s.Used() != 600 {
		t.Errorf("%d bytes used", s.Used())
	}
	if _, err := s.Keep(bytes.NewReader(make([]byte, 600))); kind(err) != ScratchFull {
		t.Errorf("more than there is room for: %v", err)
	}
	if text, err := io.ReadAll(kept); len(text) != 600 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	kept.Close()
	broken := errors.New("broken")
	if _, err := s.Keep(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
	if s.Used() != 0 {
		t.Errorf("%d bytes used", s.Used())
	}
	if (&Scratch{dir: dir + "/none"}).Writable() == nil {
		t.Error("no folder is writable")
	}
}
