package scoring

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParsePathRequest(t *testing.T) {
	r, err := ParsePathRequest([]byte(`{"reference": "a.y4m", "distorted": "b/c.y4m",
		"options": {"models": ["m"], "features": ["psnr"], "pooling": ["min"], "subsample": 3,
			"threads": 0}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Reference != "a.y4m" || r.Distorted != "b/c.y4m" || r.Options.Models[0] != "m" ||
		r.Options.Features[0] != "psnr" || r.Options.Pooling[0] != "min" ||
		*r.Options.Subsample != 3 || *r.Options.Threads != 0 {
		t.Errorf("%+v", r)
	}
}

func TestParseInvalid(t *testing.T) {
	const paths = `{"reference": "a", "distorted": "b"`
	long := strings.Repeat("a", 5000)
	for text, want := range map[string]string{
		``:                                       "invalid JSON",
		`{`:                                      "invalid JSON",
		`{} {}`:                                  "invalid JSON",
		`null`:                                   "expected a JSON object",
		`[]`:                                     "expected a JSON object",
		`"x"`:                                    "expected a JSON object",
		`{"reference": "a"}`:                     `"distorted" must be a path`,
		`{"reference": "", "distorted": ""}`:     "must be a path",
		`{"Reference": "a", "distorted": "b"}`:   `unknown field "Reference"`,
		`{"reference": 1, "distorted": "b"}`:     `"reference" cannot be a number`,
		`{"reference": null, "distorted": "b"}`:  "is null",
		paths + `, "options": []}`:               "expected a JSON object",
		paths + `, "options": {"x": 1}}`:         `unknown field "x"`,
		paths + `, "options": {"threads": "2"}}`: `"threads" cannot be a string`,
		paths + `, "options": {"subsample": 1.5}}`:        `"subsample" cannot be a number`,
		paths + `, "options": {"models": "m"}}`:           `"models" cannot be a string`,
		`{"reference": "` + long + `", "distorted": "b"}`: "must be a path",
	} {
		_, err := ParsePathRequest([]byte(text))
		var p *Problem
		if !errors.As(err, &p) || !strings.Contains(p.Detail, want) {
			t.Errorf("%.80s: error %v, want %q", text, err, want)
		}
	}
}

func TestPlan(t *testing.T) {
	e := &Engine{limits: Limits{DefaultModel: "default", MaxThreads: 4, Threads: 2}}
	p, err := e.plan(Options{})
	if err != nil || p.models[0] != "default" || p.threads != 2 || p.subsample != 1 ||
		len(p.pooling) != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	five, zero := 5, 0
	for want, o := range map[string]Options{
		`"models" has 0 values`:       {Models: []string{}},
		`"models" has 5 values`:       {Models: []string{"1", "2", "3", "4", "5"}},
		`"models" contains "a" twice`: {Models: []string{"a", "a"}},
		`unknown feature "x"`:         {Features: []string{"x"}},
		`unknown pooling method "x"`:  {Pooling: []string{"x"}},
		`"pooling" has 0 values`:      {Pooling: []string{}},
		`"threads" is 5`:              {Threads: &five},
		`"subsample" is 0`:            {Subsample: &zero},
	} {
		if _, err := e.plan(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func FuzzOptions(f *testing.F) {
	for _, text := range []string{
		`{}`,
		`{"models": ["vmaf_v0.6.1"], "features": ["psnr", "vif"]}`,
		`{"pooling": ["mean", "max"], "subsample": 2, "threads": 1}`,
		`{"threads": 1e3}`,
		`{"models": [null]}`,
		`{"subsample": -1}`,
		`[{}]`,
		"{\"models\": [\"\\u0000\"]}",
	} {
		f.Add([]byte(text))
	}
	e := &Engine{limits: Limits{DefaultModel: "m", MaxThreads: 4}}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := ParseOptions(text)
		var p *Problem
		if err != nil {
			if !errors.As(err, &p) {
				t.Fatalf("%v is not a Problem", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("no error for invalid JSON %q", text)
		}
		plan, err := e.plan(o)
		if err != nil {
			if !errors.As(err, &p) {
				t.Fatalf("%v is not a Problem", err)
			}
			return
		}
		if plan.threads < 0 || plan.threads > 4 || plan.subsample < 1 || len(plan.models) == 0 ||
			len(plan.pooling) == 0 {
			t.Fatalf("%+v", plan)
		}
	})
}
