package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func ignore(Totals) {}

// tree writes a tree with each kind of file that an archive keeps.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "a", "b"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "a", "small"), []byte("small"), 0o640))
	must(t, os.WriteFile(filepath.Join(root, "a", "b", "large"), bytes.Repeat([]byte("large"), small), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "empty"), nil, 0o444))
	must(t, os.Chmod(filepath.Join(root, "empty"), 0o444|fs.ModeSetuid))
	must(t, os.Link(filepath.Join(root, "a", "small"), filepath.Join(root, "hard")))
	must(t, os.Symlink("a/small", filepath.Join(root, "soft")))
	must(t, os.Mkdir(filepath.Join(root, "a", "locked"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "a", "locked", "file"), []byte("x"), 0o400))
	must(t, os.Chmod(filepath.Join(root, "a", "locked"), 0o555))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "a", "locked"), 0o755) })
	if os.Geteuid() == 0 {
		must(t, os.Lchown(filepath.Join(root, "soft"), 1000, 1001))
		must(t, os.Chown(filepath.Join(root, "a", "small"), 1000, 1000))
	}
	for at, name := range []string{"a/small", "a/b", "a/locked", "a"} {
		when := time.Unix(1_700_000_000+int64(at), 123456789)
		must(t, os.Chtimes(filepath.Join(root, name), when, when))
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describe returns a line for each file of a tree, with all that an archive keeps.
func describe(t *testing.T, root string) string {
	t.Helper()
	var text strings.Builder
	first := map[uint64]string{}
	must(t, filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, file)
		if name == "." {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&text, "%s %v %d:%d %d", name, info.Mode(), stat.Uid, stat.Gid, info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if first[stat.Ino] == "" {
				first[stat.Ino] = name
			}
			fmt.Fprintf(&text, " %x same as %s", sha256.Sum256(content), first[stat.Ino])
		} else if !info.IsDir() {
			target, _ := os.Readlink(file)
			fmt.Fprintf(&text, " -> %s", target)
		}
		text.WriteString("\n")
		return nil
	}))
	return text.String()
}

func pack(t *testing.T, root string, leaveOut ...string) ([]byte, Expected) {
	t.Helper()
	var out bytes.Buffer
	totals, err := Pack(root, &out, leaveOut, ignore)
	must(t, err)
	return out.Bytes(), expected(out.Bytes(), totals)
}

func expected(data []byte, totals Totals) Expected {
	sum := sha256.Sum256(data)
	return Expected{Totals: totals, Digest: hex.EncodeToString(sum[:])}
}

func TestRoundTripKeepsEverything(t *testing.T) {
	root := tree(t)
	data, want := pack(t, root)
	target := t.TempDir()
	must(t, Load(target, bytes.NewReader(data), want, false, ignore))
	if before, after := describe(t, root), describe(t, target); before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if want.Files != 6 {
		t.Errorf("%d files", want.Files)
	}
	_ = os.Chmod(filepath.Join(target, "a", "locked"), 0o755)
}

func TestEqualTreesHaveEqualArchives(t *testing.T) {
	root := tree(t)
	first, _ := pack(t, root)
	second, _ := pack(t, root)
	if !bytes.Equal(first, second) {
		t.Error("two archives of one tree differ")
	}
}

func TestPatternsAreLeftOut(t *testing.T) {
	root := tree(t)
	data, want := pack(t, root, "a/b", "e*")
	target := t.TempDir()
	must(t, Load(target, bytes.NewReader(data), want, false, ignore))
	for name, present := range map[string]bool{"a/b": false, "empty": false, "a/small": true} {
		if _, err := os.Lstat(filepath.Join(target, name)); (err == nil) != present {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = os.Chmod(filepath.Join(target, "a", "locked"), 0o755)
}

func TestWhatCannotBeRestoredIsNotSaved(t *testing.T) {
	for name, create := range map[string]func(string) error{
		"pipe":          func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"absolute link": func(file string) error { return os.Symlink("/etc/passwd", file) },
		"upward link":   func(file string) error { return os.Symlink("../outside", file) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			must(t, create(filepath.Join(root, "file")))
			if _, err := Pack(root, io.Discard, nil, ignore); err == nil {
				t.Error("it was saved")
			}
		})
	}
}

// crafted returns an archive with these entries.
func crafted(t *testing.T, headers ...tar.Header) ([]byte, Expected) {
	t.Helper()
	var out bytes.Buffer
	compressor, err := zstd.NewWriter(&out)
	must(t, err)
	archive := tar.NewWriter(compressor)
	var totals Totals
	for _, header := range headers {
		must(t, archive.WriteHeader(&header))
		if header.Typeflag != tar.TypeDir {
			totals.Files++
		}
	}
	must(t, archive.Close())
	must(t, compressor.Close())
	return out.Bytes(), expected(out.Bytes(), totals)
}

func TestNoPathLeavesTheMount(t *testing.T) {
	file := tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}
	named := func(header tar.Header, name string) tar.Header { header.Name = name; return header }
	link := func(kind byte, name, target string) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: target}
	}
	for name, headers := range map[string][]tar.Header{
		"parent":                 {named(file, "../escaped")},
		"parent in the middle":   {{Typeflag: tar.TypeDir, Name: "a/"}, named(file, "a/../../escaped")},
		"absolute":               {named(file, "/tmp/escaped")},
		"through a link":         {link(tar.TypeSymlink, "a", "b"), named(file, "a/escaped")},
		"no directory":           {named(file, "a/escaped")},
		"twice":                  {named(file, "a"), named(file, "a")},
		"link to the outside":    {link(tar.TypeSymlink, "a", "../escaped")},
		"link to an absolute":    {link(tar.TypeSymlink, "a", "/etc")},
		"hard link to outside":   {link(tar.TypeLink, "a", "../escaped")},
		"hard link to a symlink": {link(tar.TypeSymlink, "a", "b"), link(tar.TypeLink, "c", "a")},
		"device":                 {{Typeflag: tar.TypeChar, Name: "a"}},
		"pipe":                   {{Typeflag: tar.TypeFifo, Name: "a"}},
		"reserved":               {named(file, Incoming)},
	} {
		t.Run(name, func(t *testing.T) {
			data, want := crafted(t, headers...)
			outside := t.TempDir()
			root := filepath.Join(outside, "mount")
			must(t, os.Mkdir(root, 0o755))
			err := Load(root, bytes.NewReader(data), want, false, ignore)
			if err == nil {
				t.Error("it was loaded")
			}
			for _, directory := range []string{outside, root} {
				entries, _ := os.ReadDir(directory)
				if len(entries) > 1 || (directory == root && len(entries) != 0) {
					t.Errorf("%s has %v", directory, entries)
				}
			}
		})
	}
}

func TestDamagedArchivesLeaveTheMountUnchanged(t *testing.T) {
	data, want := pack(t, tree(t))
	flipped := bytes.Clone(data)
	flipped[len(data)/2] ^= 1
	more, fewer, other := want, want, want
	more.Files++
	fewer.Bytes--
	other.Digest = strings.Repeat("0", 64)
	for name, damaged := range map[string]struct {
		data []byte
		want Expected
	}{
		"truncated":           {data[:len(data)-20], want},
		"empty":               {nil, want},
		"a byte flipped":      {flipped, want},
		"trailing bytes":      {append(bytes.Clone(data), "more"...), want},
		"fewer files":         {data, more},
		"more bytes":          {data, fewer},
		"not its digest":      {data, other},
		"not even an archive": {[]byte("not an archive"), want},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			must(t, os.WriteFile(filepath.Join(root, "old"), []byte("old"), 0o600))
			before := describe(t, root)
			err := Load(root, bytes.NewReader(damaged.data), damaged.want, true, ignore)
			if err == nil {
				t.Error("it was loaded")
			}
			if after := describe(t, root); after != before {
				t.Errorf("the mount changed to\n%s", after)
			}
		})
	}
}

func TestMountsWithFilesAreOnlyReplacedOnRequest(t *testing.T) {
	data, want := pack(t, tree(t))
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "a", "old"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "a", "old", "file"), nil, 0o600))
	before := describe(t, root)
	if err := Load(root, bytes.NewReader(data), want, false, ignore); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("the error is %v", err)
	}
	if after := describe(t, root); after != before {
		t.Errorf("the mount changed to\n%s", after)
	}
	must(t, Load(root, bytes.NewReader(data), want, true, ignore))
	if _, err := os.Stat(filepath.Join(root, "a", "old")); err == nil {
		t.Error("two histories were merged")
	}
	_ = os.Chmod(filepath.Join(root, "a", "locked"), 0o755)
}

func TestDirectoriesAloneAreEmpty(t *testing.T) {
	data, want := pack(t, tree(t))
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "a"), 0o755))
	must(t, Load(root, bytes.NewReader(data), want, false, ignore))
	_ = os.Chmod(filepath.Join(root, "a", "locked"), 0o755)
}

func TestLoadInterruptedBeforeItIsVerifiedIsRemoved(t *testing.T) {
	data, want := pack(t, tree(t))
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, Incoming, newTree, "half"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, Incoming, newTree, "half", "file"), nil, 0o600))
	again, _ := pack(t, root)
	if len(again) > 100 {
		t.Error("what an interrupted load left is archived")
	}
	must(t, Load(root, bytes.NewReader(data), want, false, ignore))
	if _, err := os.Stat(filepath.Join(root, Incoming)); err == nil {
		t.Error("the interrupted load remains")
	}
	_ = os.Chmod(filepath.Join(root, "a", "locked"), 0o755)
}

// interrupted prepares a mount in which a verified load was interrupted.
func interrupted(t *testing.T, emptied bool) string {
	t.Helper()
	root := t.TempDir()
	incoming := filepath.Join(root, Incoming)
	must(t, os.MkdirAll(filepath.Join(incoming, newTree), 0o700))
	must(t, os.WriteFile(filepath.Join(incoming, newTree, "second"), []byte("new"), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "first"), []byte("there"), 0o600))
	must(t, state{Digest: "d", Emptied: emptied}.write(incoming))
	return root
}

func TestVerifiedLoadIsCompleted(t *testing.T) {
	for _, emptied := range []bool{true, false} {
		root := interrupted(t, emptied)
		// The same archive is not read again.
		must(t, Load(root, strings.NewReader(""), Expected{Digest: "d"}, false, ignore))
		_, first := os.Stat(filepath.Join(root, "first"))
		_, second := os.Stat(filepath.Join(root, "second"))
		if (first == nil) != emptied || second != nil {
			t.Errorf("emptied %v: first %v, second %v", emptied, first, second)
		}
		if _, err := os.Stat(filepath.Join(root, Incoming)); err == nil {
			t.Error("the interrupted load remains")
		}
	}
}
