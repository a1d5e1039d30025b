package progress

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

var order = []apitype.OpType{apitype.OpCreate, apitype.OpUpdate, apitype.OpReplace, apitype.OpImport, apitype.OpDelete}

// Changed reports whether the run changed anything, or the preview would.
func (r Result) Changed() bool {
	for op, n := range r.Changes {
		if op != apitype.OpSame && op != apitype.OpRead && op != apitype.OpRefresh && n > 0 {
			return true
		}
	}
	return false
}

// Summary is one line: the number of resources for each operation, or "no changes"; the unchanged ones; the time.
func (r Result) Summary(planning bool, took time.Duration) string {
	var parts []string
	for _, op := range order {
		n := r.Changes[op]
		if op == apitype.OpReplace {
			// A replacement counts once: its own create and delete are not counted.
			n = max(n, r.Changes[apitype.OpCreateReplacement])
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
	same := r.Changes[apitype.OpSame]
	text := strings.Join(parts, ", ")
	switch {
	case !r.Changed():
		text = fmt.Sprintf("no changes (%d resources)", same)
	case same > 0:
		text += fmt.Sprintf(", %d unchanged", same)
	}
	return text + ", " + seconds(took)
}
