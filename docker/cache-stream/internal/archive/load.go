package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNotEmpty is returned for a mount that already has files.
var ErrNotEmpty = errors.New("the mount is not empty")

// Expected is what the manifest says of an archive.
type Expected struct {
	Totals
	// Digest is the SHA-256 of the compressed archive, in hexadecimal.
	Digest string
}

// A load extracts into Incoming/new, writes Incoming/state once the archive is verified, moves the
// old files of the mount to Incoming/old, says so in the state, and moves the new files to the
// mount. An interrupted load is thus either removed, before the state exists, or completed.
const (
	newTree = "new"
	oldTree = "old"
)

type state struct {
	Digest string `json:"digest"`
	// Emptied says that the old files have been moved.
	Emptied bool `json:"emptied"`
}

// Load extracts an archive into a mount. Nothing of it is visible before all of it is verified.
//
// A mount with files is refused unless they are to be replaced. If an interrupted load of the same
// archive had already been verified, it is completed instead.
func Load(root string, in io.Reader, want Expected, replace bool, report Report) error {
	digest, err := Recover(root)
	if err != nil {
		return err
	}
	if digest == want.Digest && digest != "" {
		_, err := io.Copy(io.Discard, in)
		return err
	}
	if !replace {
		if found, err := HasFiles(root); err != nil {
			return err
		} else if found {
			return ErrNotEmpty
		}
	}
	incoming := filepath.Join(root, Incoming)
	if err := os.MkdirAll(filepath.Join(incoming, newTree), 0o700); err != nil {
		return err
	}
	hash := sha256.New()
	checked := io.TeeReader(in, hash)
	err = Unpack(checked, filepath.Join(incoming, newTree), want.Totals, report)
	if err == nil {
		_, err = io.Copy(io.Discard, checked)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); err == nil && sum != want.Digest {
		err = fmt.Errorf("the digest of the archive is %s, and its manifest says %s", sum, want.Digest)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(incoming))
	}
	if err := (state{Digest: want.Digest}).write(incoming); err != nil {
		return err
	}
	_, err = Recover(root)
	return err
}

// Recover removes what an interrupted load left in a mount, or completes the load if its archive
// was verified. It returns the digest of a load that it completed.
func Recover(root string) (string, error) {
	incoming := filepath.Join(root, Incoming)
	text, err := os.ReadFile(filepath.Join(incoming, "state"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", os.RemoveAll(incoming)
	}
	if err != nil {
		return "", err
	}
	var saved state
	if err := json.Unmarshal(text, &saved); err != nil {
		return "", err
	}
	if !saved.Emptied {
		old := filepath.Join(incoming, oldTree)
		if err := os.MkdirAll(old, 0o700); err != nil {
			return "", err
		}
		if err := moveAll(root, old, true); err != nil {
			return "", err
		}
		saved.Emptied = true
		if err := saved.write(incoming); err != nil {
			return "", err
		}
	}
	if err := moveAll(filepath.Join(incoming, newTree), root, false); err != nil {
		return "", err
	}
	return saved.Digest, os.RemoveAll(incoming)
}

// moveAll moves the files of a directory to another one. A build may have added files after an
// interrupted load; they are either replaced or kept.
func moveAll(from, to string, replace bool) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == Incoming {
			continue
		}
		target := filepath.Join(to, entry.Name())
		if _, err := os.Lstat(target); err == nil {
			if !replace {
				continue
			}
			if err := os.RemoveAll(target); err != nil {
				return err
			}
		}
		if err := os.Rename(filepath.Join(from, entry.Name()), target); err != nil {
			return err
		}
	}
	return nil
}

func (s state) write(incoming string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	part := filepath.Join(incoming, "state.part")
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(incoming, "state"))
}

// HasFiles says whether a mount has anything but directories. Programs create empty directories
// even when they only print their statistics.
func HasFiles(root string) (bool, error) {
	found := false
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file == filepath.Join(root, Incoming):
			return fs.SkipDir
		case !entry.IsDir():
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
