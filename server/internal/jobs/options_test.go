package jobs

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/scoring"
)

func TestParseRequest(t *testing.T) {
	r, err := ParseRequest([]byte(`{"reference": "a.mkv", "distorted": "b/c.mp4",
		"options": {"models": ["auto"], "threads": 2, "allow": ["length"], "window": 2.5,
			"size": "model"}}`))
	if err != nil {
		t.Fatal(err)
	}
	how, err := r.Options.pairing("auto")
	if err != nil || r.Reference != "a.mkv" || r.Options.Models[0] != "auto" ||
		*r.Options.Threads != 2 || !how.Allowed[pairing.Length] || how.Window != 2.5 || !how.Fit {
		t.Errorf("%+v, %+v, %v", r, how, err)
	}
	how, err = Options{}.pairing("auto")
	if err != nil || how.Fit || how.Window != defaultWindow || len(how.Allowed) != 0 {
		t.Errorf("%+v, %v", how, err)
	}
}

func TestParseInvalid(t *testing.T) {
	const paths = `{"reference": "a", "distorted": "b"`
	for text, want := range map[string]string{
		`{`:                                      "invalid JSON",
		`[]`:                                     "expected a JSON object",
		`{"reference": "a"}`:                     `"distorted" must be a path`,
		paths + `, "url": "x"}`:                  `unknown field "url"`,
		paths + `, "options": {"x": 1}}`:         `unknown field "x"`,
		paths + `, "options": {"window": "2"}}`:  `"window" cannot be a string`,
		paths + `, "options": {"window": null}}`: "is null",
		paths + `, "options": {"models": "m"}}`:  `"models" cannot be a string`,
	} {
		_, err := ParseRequest([]byte(text))
		var p *scoring.Problem
		if !errors.As(err, &p) || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func FuzzJobOptions(f *testing.F) {
	for _, text := range []string{
		`{}`,
		`{"models": ["auto", "neg"], "features": ["psnr"], "subsample": 2}`,
		`{"allow": ["length", "rate"], "window": 1e2, "size": "model"}`,
		`{"window": -0}`,
		`{"allow": [null]}`,
		`{"Allow": ["all"]}`,
		`{"size": "\u0000"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := ParseOptions(text)
		var p *scoring.Problem
		if err == nil {
			if !json.Valid(text) {
				t.Fatalf("no error for invalid JSON %q", text)
			}
			var how pairing.Options
			if how, err = o.pairing("m"); err == nil && !(how.Window >= 0 && how.Window <= maxWindow) {
				t.Fatalf("%+v", how)
			}
		}
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("%v is not a Problem", err)
		}
	})
}
