package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmaf-images/cache-stream/internal/archive"
)

// run returns the results of a request, its last message and the exit status.
func run(t *testing.T, root string, request Request, in io.Reader) (string, Message, int) {
	t.Helper()
	var out, messages bytes.Buffer
	status := Run(root, request, in, &out, &messages)
	lines := strings.Split(strings.TrimSpace(messages.String()), "\n")
	var last Message
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(lines[0], Started) {
		t.Errorf("the first message is %s", lines[0])
	}
	return out.String(), last, status
}

func mount(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"a/b/one": "1", "a/two": "22", "three": "333"} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/two", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestSavedMountIsLoaded(t *testing.T) {
	saved, message, status := run(t, mount(t), Request{Verb: "save"}, nil)
	if status != 0 || message.Files != 4 || message.Bytes != 6 || message.Archive != int64(len(saved)) {
		t.Fatalf("%d: %+v", status, message)
	}
	request := Request{
		Verb:     "load",
		Expected: archive.Expected{Totals: message.Totals, Digest: message.Digest},
	}
	root := t.TempDir()
	if _, message, status := run(t, root, request, strings.NewReader(saved)); status != 0 {
		t.Fatalf("%+v", message)
	}
	if _, message, _ := run(t, root, Request{Verb: "probe"}, nil); message.Files == 0 {
		t.Error("the loaded mount has no files")
	}
	_, message, status = run(t, root, request, strings.NewReader(saved))
	if status == 0 || message.Reason != ReasonNotEmpty {
		t.Errorf("a second load: %d: %+v", status, message)
	}
	request.Replace = true
	_, message, status = run(t, root, request, strings.NewReader(saved[:len(saved)-9]))
	if status == 0 || message.Reason != ReasonArchive {
		t.Errorf("a truncated archive: %d: %+v", status, message)
	}
}

func TestFilesAreListed(t *testing.T) {
	root := mount(t)
	for name, request := range map[string]Request{
		`"name":"a/two","mode":"-rw-r-----"`:     {Verb: "ls", Path: "a"},
		`"name":"a/b/one"`:                       {Verb: "ls", Path: "/a/b/one"},
		`"link":"a/two"`:                         {Verb: "ls"},
		`{"name":"a","files":2,"bytes":3}`:       {Verb: "du", Path: "/"},
		`{"name":"a/b/one","files":1,"bytes":1}`: {Verb: "du", Path: "a/b"},
		"22":                                     {Verb: "cat", Path: "a/two"},
	} {
		if out, message, status := run(t, root, request, nil); status != 0 || !strings.Contains(out, name) {
			t.Errorf("%+v: %s %+v", request, out, message)
		}
	}
}

func TestNoPathLeavesTheMount(t *testing.T) {
	root := filepath.Join(mount(t), "a")
	if err := os.Symlink("../three", filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../three", "b/../../three", "out", "nothing"} {
		out, message, status := run(t, root, Request{Verb: "cat", Path: path}, nil)
		if status == 0 || out != "" {
			t.Errorf("%s: %q %+v", path, out, message)
		}
	}
}

func TestUnknownVerbsFail(t *testing.T) {
	if _, _, status := run(t, t.TempDir(), Request{Verb: "remove"}, nil); status == 0 {
		t.Error("it succeeded")
	}
}
