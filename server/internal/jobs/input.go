package jobs

import (
	"fmt"
	"os"

	"vmaf-images/server/internal/scoring"
)

// path is a file under the data root.
type path struct {
	engine *scoring.Engine
	which  string
	name   string
}

func (p path) Name() string            { return p.name }
func (p path) Open() (*os.File, error) { return p.engine.OpenData(p.which, p.name) }
func (p path) Close() error            { return nil }

// upload is a video that was uploaded.
type upload struct {
	*scoring.Spool
	name string
}

// Upload returns an uploaded video. name is the name of the file at the client.
func Upload(s *scoring.Spool, name string) Input { return upload{s, name} }

func (u upload) Name() string { return u.name }

// Open opens the file once more. The spool keeps it open, because it has no path.
func (u upload) Open() (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", u.File().Fd()))
}
