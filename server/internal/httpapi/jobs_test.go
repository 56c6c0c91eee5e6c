package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/scoring"
)

// fakeScorer is a Scorer without FFmpeg: the videos are text, which is read to its end.
type fakeScorer struct {
	// started gets the text of each job, and goOn lets it end; without them, it does not wait.
	started chan string
	goOn    chan error
}

func (f *fakeScorer) Score(ctx context.Context, j jobs.Job, progress func(jobs.Progress)) (
	*jobs.Result, error,
) {
	text := ""
	for _, input := range []jobs.Input{j.Reference, j.Distorted} {
		file, err := input.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			return nil, err
		}
		text += fmt.Sprintf("%s=%.9s;", input.Name(), content)
	}
	progress(jobs.Progress{Stage: jobs.Scoring, Frames: 3, Of: 4})
	if f.started != nil {
		f.started <- text
		select {
		case err := <-f.goOn:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	result := &jobs.Result{Result: &scoring.Result{Format: format, Frames: 2, Scored: 2, Subsample: 1,
		Models: []scoring.ModelResult{{Name: "m", Pooled: scoring.Pooled{"mean": 90}}}},
		Reference: jobs.Video{Video: &media.Video{}, Name: j.Reference.Name(), Frames: 2},
		Distorted: jobs.Video{Video: &media.Video{}, Name: j.Distorted.Name(), Frames: 3},
		Notes:     []string{text},
	}
	result.Scores = jobs.NewScores([]string{"m"}, []string{"psnr_y"})
	result.Scores.Add(jobs.Frame{Pair: 0, Reference: 0, Distorted: 1, Models: []float64{80},
		Features: []float64{math.Inf(1)}})
	result.Scores.Add(jobs.Frame{Pair: 1, Reference: 1, Distorted: 2, Time: 0.04,
		Models: []float64{100}, Features: []float64{40}})
	return result, nil
}

// request sends a request, and returns the status, the header and the body of the answer.
func (f *fixture) request(method, path, contentType string, body io.Reader) (int, http.Header,
	[]byte,
) {
	f.Helper()
	request, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		f.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode, resp.Header, text
}

// add adds a job, and returns its path.
func (f *fixture) add(contentType string, body io.Reader) string {
	f.Helper()
	code, header, text := f.request("POST", "/v1/jobs", contentType, body)
	var j job
	if err := json.Unmarshal(text, &j); err != nil || code != http.StatusAccepted ||
		j.State != jobs.Queued || header.Get("Location") != "/v1/jobs/"+j.ID {
		f.Fatalf("%d %s, at %q", code, text, header.Get("Location"))
	}
	if len(j.ID) < 26 {
		f.Errorf("the identifier %q can be guessed", j.ID)
	}
	return header.Get("Location")
}

func (f *fixture) uploadJob(parts ...field) string {
	f.Helper()
	contentType, body := form(parts...)
	return f.add(contentType, bytes.NewReader(body))
}

// get returns a job.
func (f *fixture) get(path string) job {
	f.Helper()
	code, _, text := f.request("GET", path, "", nil)
	var j job
	if err := json.Unmarshal(text, &j); err != nil || code != http.StatusOK {
		f.Fatalf("%d %s", code, text)
	}
	return j
}

// await waits for the end of a job, and returns it.
func (f *fixture) await(path string) (j job) {
	f.Helper()
	f.eventually("the job has ended", func() bool {
		j = f.get(path)
		return j.Ended != nil
	})
	return j
}

func TestJob(t *testing.T) {
	scorer := &fakeScorer{started: make(chan string), goOn: make(chan error)}
	f := startJobs(t, scorer)
	path := f.uploadJob(field{"options", []byte(`{"allow": ["length"], "window": 1}`)},
		field{"distorted", worse}, field{"reference", good})
	if text := <-scorer.started; text != "file=YUV4MPEG2;file=YUV4MPEG2;" {
		t.Errorf("the videos are %q", text)
	}
	j := f.get(path)
	if j.State != jobs.Running || j.Progress == nil ||
		*j.Progress != (jobProgress{jobs.Scoring, 3, 4}) {
		t.Errorf("%+v", j)
	}
	code, _, text := f.request("GET", path+"/frames", "", nil)
	f.refused(code, text, 409, "not-done")
	scorer.goOn <- nil
	j = f.await(path)
	if j.State != jobs.Done || j.Problem != nil || *j.Result.Models[0].Pooled["mean"] != 90 ||
		j.Result.Distorted.Frames != 3 || len(j.Result.Notes) != 1 || j.Expires == nil {
		t.Errorf("%+v", j)
	}
	if f.engine.Scratch.Used() != 0 {
		t.Errorf("%d bytes are still stored", f.engine.Scratch.Used())
	}

	code, _, text = f.request("GET", path+"/frames", "", nil)
	var frames struct{ Frames []jobFrame }
	if err := json.Unmarshal(text, &frames); err != nil || code != 200 || len(frames.Frames) != 2 ||
		*frames.Frames[0].Models["m"] != 80 || frames.Frames[0].Features["psnr_y"] != nil ||
		*frames.Frames[1].Features["psnr_y"] != 40 || frames.Frames[1].Distorted != 2 {
		t.Errorf("%d %s: %v", code, text, err)
	}
	code, _, text = f.request("GET", path+"/frames?format=csv", "", nil)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || code != 200 || len(rows) != 3 ||
		!slices.Equal(rows[0], []string{"frame", "reference_frame", "distorted_frame", "time", "m",
			"psnr_y"}) ||
		!slices.Equal(rows[1], []string{"0", "0", "1", "0.000000", "80.000000", ""}) {
		t.Errorf("%d %q: %v", code, rows, err)
	}

	if code, _, text = f.request("DELETE", path, "", nil); code != 204 || len(text) != 0 {
		t.Errorf("%d %s", code, text)
	}
	for _, method := range []string{"GET", "DELETE"} {
		code, _, text = f.request(method, path, "", nil)
		f.refused(code, text, 404, "not-found")
	}
}

func TestJobOfPaths(t *testing.T) {
	f := startJobs(t, &fakeScorer{})
	body := `{"reference": "good.y4m", "distorted": "worse.y4m", "options": {"size": "model"}}`
	j := f.await(f.add("application/json", strings.NewReader(body)))
	if j.State != jobs.Done || j.Result.Notes[0] != "good.y4m=YUV4MPEG2;worse.y4m=YUV4MPEG2;" {
		t.Errorf("%+v", j)
	}
}

func TestJobFails(t *testing.T) {
	scorer := &fakeScorer{started: make(chan string, 9), goOn: make(chan error, 9)}
	f := startJobs(t, scorer)
	refused := scoring.Problemf(scoring.VideosDiffer, "they differ")
	refused.Check = "length"
	for _, c := range []struct {
		err         error
		name, check string
	}{{refused, "videos-differ", "length"}, {io.ErrNoProgress, "internal", ""}} {
		scorer.goOn <- c.err
		j := f.await(f.uploadJob(field{"reference", good}, field{"distorted", worse}))
		if j.State != jobs.Failed || j.Result != nil || j.Problem == nil ||
			j.Problem.Type != "urn:vmaf:problem:"+c.name || j.Problem.Check != c.check {
			t.Errorf("%+v", j)
		}
	}
	scorer.goOn <- nil
	f.await(f.uploadJob(field{"reference", good}, field{"distorted", worse}))
}

func TestJobIsRemoved(t *testing.T) {
	scorer := &fakeScorer{started: make(chan string), goOn: make(chan error)}
	f := startJobs(t, scorer)
	running := f.uploadJob(field{"reference", good}, field{"distorted", worse})
	<-scorer.started
	waiting := f.uploadJob(field{"reference", good}, field{"distorted", worse})

	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	code, header, text := f.request("POST", "/v1/jobs", contentType, bytes.NewReader(body))
	f.refused(code, text, 429, "queue-full")
	if header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}

	for _, path := range []string{waiting, running} {
		if code, _, text := f.request("DELETE", path, "", nil); code != 204 {
			t.Errorf("%d %s", code, text)
		}
	}
	f.eventually("the slot and scratch space are free",
		func() bool { return f.engine.Running() == 0 && f.engine.Scratch.Used() == 0 })
	next := f.uploadJob(field{"reference", good}, field{"distorted", worse})
	<-scorer.started
	scorer.goOn <- nil
	f.await(next)
}

func TestInvalidJobs(t *testing.T) {
	f := startJobs(t, &fakeScorer{})
	ref, dist := field{"reference", good}, field{"distorted", worse}
	for name, c := range map[string]struct {
		status  int
		problem string
		parts   []field
	}{
		"nothing":       {400, "bad-request", nil},
		"one video":     {400, "bad-request", []field{ref}},
		"a video twice": {400, "bad-request", []field{ref, ref}},
		"a third part":  {400, "bad-request", []field{ref, dist, dist}},
		"options last":  {400, "bad-request", []field{ref, dist, {"options", []byte("{}")}}},
		"unknown check": {400, "bad-options",
			[]field{{"options", []byte(`{"allow": ["all"]}`)}, ref, dist}},
		"unknown size": {400, "bad-options",
			[]field{{"options", []byte(`{"size": "720p"}`)}, ref, dist}},
		"a check twice": {400, "bad-options",
			[]field{{"options", []byte(`{"allow": ["rate", "rate"]}`)}, ref, dist}},
		"large window": {400, "bad-options",
			[]field{{"options", []byte(`{"window": 601}`)}, ref, dist}},
		"unknown option": {400, "bad-options",
			[]field{{"options", []byte(`{"x": 1}`)}, ref, dist}},
		"many threads": {400, "bad-options",
			[]field{{"options", []byte(`{"threads": 100}`)}, ref, dist}},
	} {
		t.Run(name, func(t *testing.T) {
			at := *f
			at.T = t
			contentType, body := form(c.parts...)
			code, _, text := f.request("POST", "/v1/jobs", contentType, bytes.NewReader(body))
			at.refused(code, text, c.status, c.problem)
			if n := f.engine.Scratch.Used(); n != 0 {
				t.Errorf("%d bytes are still stored", n)
			}
		})
	}
	for _, c := range []struct {
		method, path, contentType, body string
		status                          int
		problem                         string
	}{
		{"POST", "/v1/jobs", "text/plain", "x", 415, "unsupported-media-type"},
		{"POST", "/v1/jobs?x=1", "application/json", "{}", 400, "bad-request"},
		{"POST", "/v1/jobs", "application/json", "{", 400, "bad-request"},
		{"POST", "/v1/jobs", "application/json", `{"reference": "a"}`, 400, "bad-request"},
		{"POST", "/v1/jobs", "application/json",
			`{"reference": "good.y4m", "distorted": "none.mp4"}`, 404, "not-found"},
		{"POST", "/v1/jobs", "application/json",
			`{"reference": "../good.y4m", "distorted": "good.y4m"}`, 403, "path-refused"},
		{"POST", "/v1/jobs", "application/json",
			`{"reference": "good.y4m", "distorted": "good.y4m", "options": {"allow": "x"}}`, 400,
			"bad-options"},
		{"GET", "/v1/jobs", "", "", 405, "method-not-allowed"},
		{"GET", "/v1/jobs/AAAAAAAAAAAAAAAAAAAAAAAAAA", "", "", 404, "not-found"},
		{"GET", "/v1/jobs/x/frames", "", "", 404, "not-found"},
		{"GET", "/v1/jobs/x/frames?format=xml", "", "", 400, "bad-request"},
		{"PUT", "/v1/jobs/x", "", "", 405, "method-not-allowed"},
	} {
		code, _, text := f.request(c.method, c.path, c.contentType, strings.NewReader(c.body))
		f.refused(code, text, c.status, c.problem)
	}
	// The places in the queue of all these requests are free again.
	f.await(f.uploadJob(ref, dist))
}

func TestNoJobsWithoutFFmpeg(t *testing.T) {
	f := start(t, nil)
	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	code, _, text := f.request("POST", "/v1/jobs", contentType, bytes.NewReader(body))
	f.refused(code, text, 501, "no-decoder")
	f.engine.Drain()
	f = startJobs(t, &fakeScorer{})
	f.engine.Drain()
	code, _, text = f.request("POST", "/v1/jobs", contentType, bytes.NewReader(body))
	f.refused(code, text, 503, "draining")
}
