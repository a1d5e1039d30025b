package progress

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/text"
)

var order = []apitype.OpType{apitype.OpCreate, apitype.OpUpdate, apitype.OpReplace, apitype.OpImport, apitype.OpDelete}

// Changed reports whether the run changed anything, or the preview would.
func (r Result) Changed() bool {
	for op, n := range r.Changes {
		if op != apitype.OpSame && op != apitype.OpRead && op != apitype.OpRefresh && n > 0 {
			return true
		}
	}
	return r.marked() > 0
}

// kept is the number of resources that leave the state and stay as they are.
func (r Result) kept() (n int) {
	for _, step := range r.Steps {
		if step.Op == apitype.OpDelete && step.Retained && !step.Failed {
			n++
		}
	}
	return n
}

// Same turns an update step into one without a change.
func (r *Result) Same(step *Step) {
	step.Op = apitype.OpSame
	r.Changes[apitype.OpUpdate]--
	r.Changes[apitype.OpSame]++
}

// marked is the number of resources that stay the same but for options of the engine in the state.
func (r Result) marked() (n int) {
	for _, step := range r.Steps {
		if step.Op == apitype.OpSame && len(step.Options) > 0 {
			n++
		}
	}
	return n
}

// Summary is one line: the number of resources for each operation, or "no changes"; the unchanged ones; the time.
func (r Result) Summary(planning bool, took time.Duration) string {
	var parts, left []string
	for _, op := range order {
		n := r.Changes[op]
		if op == apitype.OpReplace {
			// A replacement counts once: its own create and delete are not counted.
			n = max(n, r.Changes[apitype.OpCreateReplacement])
		}
		if n == 0 {
			continue
		}
		if kept := r.kept(); op == apitype.OpDelete && kept > 0 {
			n -= kept
			left = append(left, fmt.Sprintf("%d kept", kept))
		}
		if n == 0 {
			continue
		}
		word := Verb(op, planning)
		if planning {
			word = "to " + word
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, word))
	}
	parts = append(parts, left...)
	marked := r.marked()
	if marked > 0 {
		parts = append(parts, text.Count(marked, "resource", "resources")+" with other options in the state")
	}
	same := r.Changes[apitype.OpSame] - marked
	line := strings.Join(parts, ", ")
	switch {
	case !r.Changed():
		line = fmt.Sprintf("no changes (%d resources)", same)
	case same > 0:
		line += fmt.Sprintf(", %d unchanged", same)
	}
	return line + ", " + seconds(took)
}
