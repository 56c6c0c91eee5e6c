package scoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"vmaf-images/server/internal/vmaf"
)

// ModelInfo is a model that a request may name.
type ModelInfo struct {
	Name    string
	BuiltIn bool
}

// Models returns the built-in models, followed by the files in the model directory.
func (e *Engine) Models() ([]ModelInfo, error) {
	var list []ModelInfo
	for _, name := range vmaf.BuiltIn() {
		list = append(list, ModelInfo{Name: name, BuiltIn: true})
	}
	if e.models == nil {
		return list, nil
	}
	err := fs.WalkDir(e.models.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && path.Ext(name) == ".json" {
			list = append(list, ModelInfo{Name: name})
		}
		return err
	})
	return list, err
}

// load loads models. Each model has its own series name.
func (e *Engine) load(names []string) ([]*vmaf.Model, error) {
	var models []*vmaf.Model
	for i, name := range names {
		m, err := e.loadOne(name, fmt.Sprintf("model%d", i))
		if err != nil {
			closeAll(models)
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

func closeAll(models []*vmaf.Model) {
	for _, m := range models {
		m.Close()
	}
}

func (e *Engine) loadOne(name, series string) (*vmaf.Model, error) {
	unknown := Problemf(BadOptions, "unknown model %.255q; /v1/models lists the models", name)
	if len(name) > maxModelName || strings.ContainsRune(name, 0) {
		return nil, unknown
	}
	if path.Ext(name) != ".json" {
		m, err := vmaf.LoadBuiltIn(name, series)
		if err != nil {
			return nil, unknown
		}
		return m, nil
	}
	if e.models == nil {
		return nil, Problemf(BadOptions, "model %q: this server has no model directory", name)
	}
	file, err := openRegular(e.models, name)
	if err != nil {
		return nil, unknown
	}
	defer file.Close()
	// libvmaf needs a path. The path of the descriptor always refers to the file checked above.
	m, err := vmaf.LoadFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), series)
	if err != nil {
		return nil, Problemf(BadOptions, "libvmaf cannot load the model %q", name)
	}
	return m, nil
}

// openRegular opens a regular file under root. It refuses paths that lead out of root, also
// through symbolic links.
func openRegular(root *os.Root, name string) (*os.File, error) {
	if !filepath.IsLocal(name) {
		return nil, fs.ErrPermission
	}
	// With O_NONBLOCK, opening a named pipe does not wait for a writer.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrPermission
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// OpenData opens a regular file under the data root. which is the role of the video.
func (e *Engine) OpenData(which, name string) (*os.File, error) {
	if e.data == nil {
		return nil, Problemf(PathRefused, "this server has no data root; upload the videos instead")
	}
	file, err := openRegular(e.data, name)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, Problemf(NotFound, "%s: there is no file %q under the data root", which, name)
	}
	return nil, Problemf(PathRefused, "%s: %q is not a readable file under the data root",
		which, name)
}
