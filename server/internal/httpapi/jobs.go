package httpapi

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/scoring"
)

// addJob handles POST /v1/jobs. Only a job that is not taken is an outcome that the metrics count
// here.
func (s *server) addJob(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	err := s.guard(s.addJobRequest, w, r)
	if err != nil {
		s.engine.Finished("job", err, time.Since(start))
	}
	return err
}

func (s *server) addJobRequest(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery, "", ""); err != nil {
		return err
	}
	place, err := s.jobs.Reserve()
	if err != nil && scoring.AsProblem(err).Kind == scoring.QueueFull {
		// As for other requests, the refusal waits for its turn, and there may be room then.
		if err = s.engine.AwaitRefusal(r.Context(), err); err == nil {
			place, err = s.jobs.Reserve()
		}
	}
	if err != nil {
		return err
	}
	defer place.Leave()
	media, boundary, err := s.contentType(r)
	if err != nil {
		return err
	}
	body := newBody(r, http.NewResponseController(w), s.MaxBodyBytes, s.StallTimeout)
	var reference, distorted jobs.Input
	var options jobs.Options
	if media == jsonType {
		var text []byte
		if text, err = readAtMost(body, s.MaxOptionsBytes, "body"); err != nil {
			return body.explain(err)
		}
		var request jobs.Request
		if request, err = jobs.ParseRequest(text); err == nil {
			err = s.jobs.Check(request.Options)
		}
		if err == nil {
			options = request.Options
			reference, distorted, err = s.jobs.Paths(request)
		}
	} else {
		reference, distorted, options, err = s.receive(r.Context(), body, boundary)
	}
	if err != nil {
		return err
	}
	job := place.Add(reference, distorted, options)
	body.allowWrite()
	w.Header().Set("Location", "/v1/jobs/"+job.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(toJob(job))
}

// receive stores the videos of an upload, within the time limit of a request.
func (s *server) receive(ctx context.Context, body *body, boundary string) (
	reference, distorted jobs.Input, o jobs.Options, err error,
) {
	ctx, cancel := s.engine.WithTimeout(ctx)
	defer cancel()
	defer body.closeOn(ctx)()
	u := newUpload(body, boundary)
	stored := map[string]jobs.Input{}
	err = func() error {
		video, err := u.begin(s.MaxOptionsBytes, func(text []byte) (err error) {
			if o, err = jobs.ParseOptions(text); err == nil {
				err = s.jobs.Check(o)
			}
			return err
		})
		for err == nil {
			var spool *scoring.Spool
			if spool, err = s.engine.Scratch.Store(video); err != nil {
				return err
			}
			stored[video.FormName()] = jobs.Upload(spool, video.FileName())
			if len(stored) == 2 {
				return u.end()
			}
			video, err = u.next()
		}
		return err
	}()
	if err != nil {
		for _, input := range stored {
			input.Close()
		}
		return nil, nil, o, scoring.OfCause(ctx, body.explain(err))
	}
	return stored["reference"], stored["distorted"], o, nil
}

// job handles GET and DELETE of /v1/jobs/{id}.
func (s *server) job(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery, "", ""); err != nil {
		return err
	}
	id := r.PathValue("id")
	if r.Method == http.MethodDelete {
		if err := s.jobs.Remove(id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	job, err := s.jobs.Get(id)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, toJob(job))
}

// jobFrames handles GET /v1/jobs/{id}/frames.
func (s *server) jobFrames(w http.ResponseWriter, r *http.Request) error {
	format, err := parseQuery(r.URL.RawQuery, "format", "json", "csv")
	if err != nil {
		return err
	}
	job, err := s.jobs.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	if job.State != jobs.Done {
		return scoring.Problemf(scoring.NotDone, "the job is %s; only a job that is done has scores",
			job.State)
	}
	body := newBody(r, http.NewResponseController(w), 0, s.StallTimeout)
	out := bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		body.allowWrite()
		n, err := w.Write(p)
		if err != nil {
			err = scoring.Problemf(scoring.Cancelled, "the client does not read: %w", err)
		}
		return n, err
	}), bufferSize)
	w.Header().Set("Cache-Control", "no-store")
	if format == "csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		err = writeCSV(out, &job.Result.Scores)
	} else {
		w.Header().Set("Content-Type", "application/json")
		err = writeFrames(out, &job.Result.Scores)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// writeFrames writes a JSON object with an array, frame by frame.
func writeFrames(w io.Writer, scores *jobs.Scores) error {
	separator := `{"frames":[`
	for i := range scores.Count() {
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if err := json.NewEncoder(w).Encode(toJobFrame(scores, i)); err != nil {
			return err
		}
		separator = ","
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

// writeCSV writes a line for each pair of frames. A score that is no number is an empty cell.
func writeCSV(w io.Writer, scores *jobs.Scores) error {
	out := csv.NewWriter(w)
	head := []string{"frame", "reference_frame", "distorted_frame", "time"}
	if err := out.Write(append(append(head, scores.Models...), scores.Features...)); err != nil {
		return err
	}
	line := make([]string, 0, len(head)+len(scores.Models)+len(scores.Features))
	for i := range scores.Count() {
		f := scores.Frame(i)
		line = append(line[:0], strconv.Itoa(f.Pair), strconv.Itoa(f.Reference),
			strconv.Itoa(f.Distorted), strconv.FormatFloat(f.Time, 'f', 6, 64))
		for _, values := range [][]float64{f.Models, f.Features} {
			for _, v := range values {
				cell := ""
				if n := number(v); n != nil {
					cell = strconv.FormatFloat(v, 'f', 6, 64)
				}
				line = append(line, cell)
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
