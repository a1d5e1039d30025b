package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Known is a finding of a baseline: a violation that was there when the baseline was written.
type Known struct {
	Rule string `json:"rule"`
	// URN of the resource. Empty for the stack as a whole.
	URN string `json:"urn,omitempty"`
	// Path of the value in the resource. Empty for the resource as a whole.
	Path string `json:"path,omitempty"`
}

// baseline is the file of a baseline.
type baseline struct {
	Findings []Known `json:"findings"`
}

// Baseline reads the text of a baseline file. It returns an error with all faults.
func Baseline(text []byte) ([]Known, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var file baseline
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("want a file that --write-baseline has written: %w", err)
	}
	var faults []string
	for i, known := range file.Findings {
		if known.Rule == "" {
			faults = append(faults, fmt.Sprintf("findings[%d].rule: is missing: want the name of a rule", i))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return file.Findings, nil
}

// Text returns the text of a baseline file.
func Text(known []Known) []byte {
	if known == nil {
		known = []Known{}
	}
	// Encoding texts cannot fail.
	text, _ := json.MarshalIndent(baseline{known}, "", "  ")
	return append(text, '\n')
}

// Known returns the mandatory findings of the report, for a baseline.
func (r *Report) Known() []Known {
	var known []Known
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Level == mandatory {
			known = append(known, Known{f.Rule, f.URN, f.Path})
		}
	}
	return known
}

const mandatory = "mandatory"

// Accept marks the mandatory findings that a baseline contains. They no longer count as mandatory. If a resource has
// more findings at the same path than the baseline, the last ones are new. Accept sets [Report.Gone] and returns the
// baseline without it.
func (r *Report) Accept(known []Known) (remaining []Known) {
	left := map[Known]int{}
	for _, k := range known {
		left[k]++
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if k := (Known{f.Rule, f.URN, f.Path}); f.Level == mandatory && left[k] > 0 {
			left[k]--
			f.Known = true
			r.Mandatory--
		}
	}
	for _, k := range known {
		if left[k] > 0 {
			left[k]--
			r.Gone = append(r.Gone, k)
		} else {
			remaining = append(remaining, k)
		}
	}
	return remaining
}
