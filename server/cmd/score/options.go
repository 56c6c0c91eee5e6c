package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sort"
	"strings"

	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/results"
)

// options are the arguments of a call.
type options struct {
	reference string
	distorted []string
	pairing   pairing.Options
	features  []string
	threads   int
	every     int
	// min is the lowest score that passes; NaN if none was given.
	min             float64
	pool            string
	json, csv, html string
	quiet           bool
	help, version   bool
}

// features maps the short names of libvmaf's features.
var featureNames = map[string]string{
	"psnr": "psnr", "psnr-hvs": "psnr_hvs", "ssim": "float_ssim", "ms-ssim": "float_ms_ssim",
	"ciede": "ciede", "cambi": "cambi",
}

const usageHead = `Usage: score REFERENCE DISTORTED... [OPTION...]

Scores how close each distorted video looks to the reference, with VMAF. It aligns the videos
first, says what it did, and refuses pairs whose score would be wrong.

Exit status: 0 if all pairs were scored, 1 if one has less than --min, 2 if one was not scored.

Options:
`

// parse reads the arguments. Options may be anywhere.
func parse(args []string) (*options, error) {
	o := &options{min: math.NaN()}
	var size, allow, features string
	flags := o.flags(&size, &allow, &features)
	flags.SetOutput(io.Discard)
	var files []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			break
		}
		// After "--", which flags removes, all arguments are files.
		if before := len(args) - len(rest); before > 0 && args[before-1] == "--" {
			files = append(files, rest...)
			break
		}
		files, args = append(files, rest[0]), rest[1:]
	}
	if o.help || o.version {
		return o, nil
	}
	if len(files) < 2 {
		return nil, errors.New("give a reference and at least one distorted video")
	}
	o.reference, o.distorted = files[0], files[1:]
	switch size {
	case "reference":
	case "model":
		o.pairing.Fit = true
	default:
		return nil, fmt.Errorf("--size is %q, and can be reference or model", size)
	}
	var err error
	if o.pairing.Allowed, err = pairing.ParseAllowed(allow); err != nil {
		return nil, fmt.Errorf("--allow: %w", err)
	}
	if !slices.Contains(results.Pools, o.pool) {
		return nil, fmt.Errorf("--pool is %q, and can be %s", o.pool, strings.Join(results.Pools, ", "))
	}
	for name := range strings.SplitSeq(features, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		feature, ok := featureNames[name]
		if !ok {
			return nil, fmt.Errorf("--features: %q is not one of %s", name,
				strings.Join(sortedNames(), ", "))
		}
		o.features = append(o.features, feature)
	}
	switch {
	case o.threads < 1:
		return nil, errors.New("--threads must be at least 1")
	case o.every < 1:
		return nil, errors.New("--every must be at least 1")
	case !(o.pairing.Window >= 0 && o.pairing.Window <= 600):
		return nil, errors.New("--window must be between 0 and 600 seconds")
	}
	return o, nil
}

func (o *options) flags(size, allow, features *string) *flag.FlagSet {
	f := flag.NewFlagSet("score", flag.ContinueOnError)
	f.StringVar(&o.pairing.Model, "model", "auto", "`NAME` of the model:\n"+pairing.ModelHelp)
	f.StringVar(size, "size", "reference", "compare in the size of the reference, or with \"model\" "+
		"in that of\nthe screen that the model was made for: `SIZE`")
	f.StringVar(features, "features", "", "compute these, too: a `LIST` of "+
		strings.Join(sortedNames(), ", "))
	f.StringVar(allow, "allow", "", "score in spite of these checks, a `LIST` of:\n"+checkHelp())
	f.Float64Var(&o.pairing.Window, "window", 5, "look for an offset of up to so many `SECONDS`")
	f.IntVar(&o.every, "every", 1, "score every `N`-th frame only")
	f.Float64Var(&o.min, "min", math.NaN(), "exit with status 1 if a pair has less than this `SCORE`")
	f.StringVar(&o.pool, "pool", "mean", "the `STATISTIC` that --min compares: "+
		strings.Join(results.Pools, ", "))
	f.StringVar(&o.json, "json", "", "write all scores to a `FILE`, or to - for standard output")
	f.StringVar(&o.csv, "csv", "", "write a line for each frame to a `FILE`, or to -")
	f.StringVar(&o.html, "html", "", "write a page with plots to a `FILE`, or to -")
	f.IntVar(&o.threads, "threads", runtime.NumCPU(), "the `NUMBER` of libvmaf's threads")
	f.BoolVar(&o.quiet, "quiet", false, "show no progress")
	f.BoolVar(&o.version, "version", false, "print the version")
	f.BoolVar(&o.help, "help", false, "print this text")
	return f
}

// usage prints the manual.
func usage(to io.Writer) {
	o := &options{}
	var ignored string
	f := o.flags(&ignored, &ignored, &ignored)
	fmt.Fprint(to, usageHead)
	f.VisitAll(func(option *flag.Flag) {
		value, text := flag.UnquoteUsage(option)
		head := "--" + option.Name
		if value != "" {
			head += " " + value
		}
		lines := strings.Split(text, "\n")
		if d := option.DefValue; d != "" && d != "false" && d != "NaN" && option.Name != "threads" {
			lines[0] += " (default " + d + ")"
		}
		fmt.Fprintf(to, "  %-17s %s\n", head, strings.Join(lines, "\n"+strings.Repeat(" ", 20)))
	})
}

func sortedNames() []string {
	var names []string
	for name := range featureNames {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func checkHelp() string {
	var lines []string
	for check, instead := range pairing.Checks {
		lines = append(lines, fmt.Sprintf("%-10s to %s", check, instead))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
