package scoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"vmaf-images/server/internal/vmaf"
)

// ModelInfo is a model that a request may name.
type ModelInfo struct {
	Name    string
	BuiltIn bool
}

// Models lists the models: libvmaf's own, then those in the folder.
func (e *Engine) Models() ([]ModelInfo, error) {
	var list []ModelInfo
	for _, name := range vmaf.BuiltIn() {
		list = append(list, ModelInfo{name, true})
	}
	if e.models == nil {
		return list, nil
	}
	err := fs.WalkDir(e.models.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && path.Ext(name) == ".json" {
			list = append(list, ModelInfo{name, false})
		}
		return err
	})
	return list, err
}

// load loads the models of a plan, each with a series of its own.
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
	unknown := Problemf(BadOptions, "%.255q is no model; /v1/models lists them", name)
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
		return nil, Problemf(BadOptions, "%q: this server has no folder of models", name)
	}
	file, err := openRegular(e.models, name)
	if err != nil {
		return nil, unknown
	}
	defer file.Close()
	// libvmaf wants a path: that of the descriptor is the very file that was let through.
	m, err := vmaf.LoadFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), series)
	if err != nil {
		return nil, Problemf(BadOptions, "libvmaf cannot load the model %q", name)
	}
	return m, nil
}

// openRegular opens a file below a root that no path or link leads out of.
func openRegular(root *os.Root, name string) (*os.File, error) {
	if !filepath.IsLocal(name) {
		return nil, fs.ErrPermission
	}
	// Not to wait for the other end of a pipe.
	file, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
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

func (e *Engine) openData(which, name string) (*os.File, error) {
	if e.data == nil {
		return nil, Problemf(PathRefused, "this server has no data root, so no paths: send the videos themselves")
	}
	file, err := openRegular(e.data, name)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, Problemf(NotFound, "%s: no file %q under the data root", which, name)
	}
	return nil, Problemf(PathRefused, "%s: %q is no file that may be read under the data root", which, name)
}
