package config

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// environment returns a function like os.LookupEnv for the given NAME=value pairs.
func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range pairs {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

func TestParse(t *testing.T) {
	c, err := Parse([]string{"--queue=3", "--stall-timeout", "5s"},
		environment("VMAF_QUEUE=7", "VMAF_CONCURRENCY=9", "VMAF_DATA_ROOT=/data",
			"VMAF_LOG_LEVEL=warn", "VMAF_THREADS=", "VMAF_HELP=true"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Queue != 3 || c.Concurrency != 9 || c.DataRoot != "/data" ||
		c.StallTimeout != 5*time.Second ||
		c.LogLevel.String() != "WARN" || c.Threads != 1 || c.Help {
		t.Errorf("%+v", c)
	}
}

func TestParseInvalid(t *testing.T) {
	for _, c := range []struct{ arg, variable, want string }{
		{"--none", "", "--none"},
		{"stray", "", `"stray"`},
		{"--queue=x", "", "--queue"},
		{"--queue=-1", "", "--queue"},
		{"--concurrency=0", "", "--concurrency"},
		{"--drain-timeout=-1s", "", "--drain-timeout"},
		{"--max-threads=300", "", "--max-threads"},
		{"--max-threads=0", "", "--threads is 1"},
		{"--log-level=loud", "", "--log-level"},
		{"--help=false", "VMAF_QUEUE=x", "VMAF_QUEUE"},
		{"--help=false", "VMAF_MAX_FRAMES=0", "VMAF_MAX_FRAMES"},
	} {
		_, err := Parse([]string{c.arg}, environment(c.variable))
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s: error %v, want one line with %q", c.arg, c.variable, err, c.want)
		}
	}
}

// TestUsage checks that the help and docs/server.md list the same settings.
func TestUsage(t *testing.T) {
	c, err := Parse(nil, environment())
	if err != nil {
		t.Fatal(err)
	}
	var help bytes.Buffer
	c.Usage(&help)
	docs, err := os.ReadFile("../../../docs/server.md")
	if err != nil {
		t.Skip("this build has no docs/server.md")
	}
	flags := func(text []byte, form string) (names []string) {
		for _, match := range regexp.MustCompile(form).FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
		slices.Sort(names)
		return names
	}
	inHelp := flags(help.Bytes(), `(?m)^  --([a-z-]+) .*\(VMAF_`)
	inDocs := flags(docs, "(?m)^- `--([a-z-]+)` \\(")
	if !slices.Equal(inHelp, inDocs) {
		t.Errorf("--help lists %v\ndocs/server.md lists %v", inHelp, inDocs)
	}
}
