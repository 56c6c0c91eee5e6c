// Package pairing decides which frames of two videos are compared, and how they are converted to
// the same size and format. It changes no file and starts no program.
package pairing

import (
	"fmt"
	"slices"
	"strings"
)

// Check names a check of a pair. Its name is what --allow takes.
type Check string

// The checks that a pair must pass. docs/score.md lists what each of them does.
const (
	Aspect     Check = "aspect"
	Content    Check = "content"
	Damage     Check = "damage"
	Interlaced Check = "interlaced"
	Length     Check = "length"
	Missing    Check = "missing"
	Rate       Check = "rate"
	Size       Check = "size"
	Transfer   Check = "transfer"
)

// Checks are the checks that --allow may name, and what is then done instead.
var Checks = map[Check]string{
	Aspect:     "stretch the distorted picture to the shape of the reference",
	Content:    "score videos whose pictures do not look alike",
	Damage:     "score a damaged reference",
	Interlaced: "score interlaced video frame by frame",
	Length:     "score the part that both videos have",
	Missing:    "leave out frames that only one of the videos has",
	Rate:       "compare each frame of the slower video with the one that is nearest in time",
	Transfer:   "compare the samples of videos with different transfer functions",
}

// Allowed are the checks that need not pass.
type Allowed map[Check]bool

// ParseAllowed reads a list such as "length,rate".
func ParseAllowed(list string) (Allowed, error) {
	allowed := Allowed{}
	for name := range strings.SplitSeq(list, ",") {
		check := Check(strings.TrimSpace(name))
		if check == "" {
			continue
		}
		if _, ok := Checks[check]; !ok {
			return nil, fmt.Errorf("%q is not a check; the checks are %s", check, checkNames())
		}
		allowed[check] = true
	}
	return allowed, nil
}

func checkNames() string {
	var names []string
	for check := range Checks {
		names = append(names, string(check))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Refusal says why a pair is not scored.
type Refusal struct {
	Check Check
	// Reason is a sentence without its period.
	Reason string
}

// Error returns the reason, and the option of the program score that helps.
func (r *Refusal) Error() string {
	if way, ok := Checks[r.Check]; ok {
		return fmt.Sprintf("%s. Use --allow %s to %s.", r.Reason, r.Check, way)
	}
	return r.Reason + "."
}

// verdict collects what is done with a pair.
type verdict struct {
	allowed Allowed
	notes   []string
}

// refuse returns a Refusal, or adds the reason to the notes if the check need not pass.
func (v *verdict) refuse(check Check, format string, a ...any) error {
	reason := fmt.Sprintf(format, a...)
	if v.allowed[check] {
		v.note("%s is allowed: %s", check, reason)
		return nil
	}
	return &Refusal{check, reason}
}

func (v *verdict) note(format string, a ...any) {
	v.notes = append(v.notes, fmt.Sprintf(format, a...))
}
