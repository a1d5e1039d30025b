package progress

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Options say how to show a run.
type Options struct {
	// Out gets the lines.
	Out io.Writer
	// Live redraws one line with what is going on; for terminals. Otherwise a line is printed now and then.
	Live bool
	// Width cuts the live line; 0 for 120.
	Width int
	// Planning shows what a preview would do, with every input where Inputs is set.
	Planning, Inputs bool
	// Quiet shows no operation, only errors and warnings.
	Quiet bool
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Patience is after how long without news a line says what is waited for; 3 s by default.
	Patience time.Duration
}

// Result is what a run did.
type Result struct {
	// Changes counts resources by operation.
	Changes map[apitype.OpType]int
	// Errors are the run's errors, each once, ready to print.
	Errors []string
	// Steps are the resources that the engine went through, in its order.
	Steps []Step
	// Done counts the operations that ended well; the stack itself is none.
	Done int
	// Ended says that the engine summed up the run.
	Ended bool
}

// Step is what the engine did, or would do, to a resource.
type Step struct {
	URN  string         `json:"urn"`
	Type string         `json:"type"`
	Name string         `json:"name"`
	Op   apitype.OpType `json:"op"`
	// Inputs are the resource's inputs; secrets and what is known only after the update are placeholders.
	Inputs map[string]any `json:"inputs,omitempty"`
	// Changed are the paths of the properties that differ.
	Changed []string `json:"changed,omitempty"`
}

type operation struct {
	urn     string
	op      apitype.OpType
	started time.Time
	status  string
}

// Renderer turns the engine's events into lines.
type Renderer struct {
	o       Options
	running []*operation
	result  Result
	said    map[string]bool
	// last is when the person last heard something, live whether a transient line stands.
	last time.Time
	live bool
}

// New makes a renderer for one run.
func New(o Options) *Renderer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 3 * time.Second
	}
	if o.Width == 0 {
		o.Width = 120
	}
	return &Renderer{o: o, said: map[string]bool{}, last: o.Now(), result: Result{Changes: map[apitype.OpType]int{}}}
}

// Consume shows the events until the channel closes or stop does; then it returns what the run did. The engine may die before
// it opens its stream, and then nobody closes the channel: hence stop.
func (r *Renderer) Consume(stream <-chan events.EngineEvent, stop <-chan struct{}) Result {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	defer r.wipe()
	for {
		select {
		case event, ok := <-stream:
			if !ok {
				return r.result
			}
			r.Event(event)
		case <-tick.C:
			r.Tick()
		case <-stop:
			for {
				select {
				case event, ok := <-stream:
					if !ok {
						return r.result
					}
					r.Event(event)
				default:
					return r.result
				}
			}
		}
	}
}

// Event shows one event.
func (r *Renderer) Event(event events.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		r.begin(event.ResourcePreEvent.Metadata)
	case event.ResOutputsEvent != nil:
		r.end(event.ResOutputsEvent.Metadata, true)
	case event.ResOpFailedEvent != nil:
		r.end(event.ResOpFailedEvent.Metadata, false)
	case event.DiagnosticEvent != nil:
		r.diagnostic(event.DiagnosticEvent)
	case event.PolicyEvent != nil:
		r.policy(event.PolicyEvent)
	case event.ProgressEvent != nil:
		r.download(event.ProgressEvent)
	case event.SummaryEvent != nil:
		r.result.Ended = true
		for op, n := range event.SummaryEvent.ResourceChanges {
			r.result.Changes[op] = n
		}
	}
}

func (r *Renderer) begin(m apitype.StepEventMetadata) {
	step := Step{URN: m.URN, Type: m.Type, Name: urnName(m.URN), Op: m.Op}
	if m.New != nil {
		step.Inputs = m.New.Inputs
	}
	for path := range m.DetailedDiff {
		step.Changed = append(step.Changed, path)
	}
	if len(step.Changed) == 0 {
		step.Changed = slices.Clone(m.Diffs)
	}
	slices.Sort(step.Changed)
	r.result.Steps = append(r.result.Steps, step)
	switch {
	case m.Op == apitype.OpSame || verbs[m.Op].sign == "":
	case r.o.Planning:
		r.plan(step)
	case m.Op == apitype.OpReplace:
		// The engine's own marker between creating the replacement and deleting the replaced.
	default:
		r.running = append(r.running, &operation{urn: m.URN, op: m.Op, started: r.o.Now()})
	}
}

func (r *Renderer) plan(step Step) {
	if r.o.Quiet || step.Op == apitype.OpCreateReplacement || step.Op == apitype.OpDeleteReplaced || step.Type == "pulumi:pulumi:Stack" {
		return
	}
	r.line("  %s %-40s %s", verbs[step.Op].sign, shortType(step.Type), step.Name)
	if r.o.Inputs && step.Op != apitype.OpDelete && len(step.Inputs) > 0 {
		fmt.Fprint(r.o.Out, indent(strings.TrimRight(writeInputs(step.Inputs), "\n"), "        ")+"\n")
	} else if len(step.Changed) > 0 {
		r.line("        changes: %s", strings.Join(step.Changed, ", "))
	}
}

func (r *Renderer) end(m apitype.StepEventMetadata, ok bool) {
	at := slices.IndexFunc(r.running, func(o *operation) bool { return o.urn == m.URN && o.op == m.Op })
	if at < 0 {
		return
	}
	o := r.running[at]
	r.running = slices.Delete(r.running, at, at+1)
	if ok && m.Type != "pulumi:pulumi:Stack" {
		r.result.Done++
	}
	if m.Type == "pulumi:pulumi:Stack" || ok && (r.o.Quiet || strings.HasPrefix(m.Type, "pulumi:providers:")) {
		return
	}
	took := r.o.Now().Sub(o.started)
	if ok {
		r.line("  %s %-40s %-56s %6s", verbs[m.Op].sign, shortType(m.Type), urnName(m.URN), seconds(took))
		return
	}
	r.line("  ✗ %-40s %-56s failed after %s", shortType(m.Type), urnName(m.URN), seconds(took))
}

func (r *Renderer) diagnostic(d *apitype.DiagnosticEvent) {
	message := clean(d.Message)
	if d.Ephemeral {
		for _, o := range r.running {
			if o.urn == d.URN && message != "" {
				o.status = firstLine(message)
			}
		}
		return
	}
	if saysNothing(message) {
		return
	}
	whole := message
	if d.URN != "" && urnType(d.URN) != "pulumi:pulumi:Stack" {
		whole = Subject(d.URN) + ": " + message
	}
	key := d.Severity + whole
	if r.said[key] {
		return
	}
	r.said[key] = true
	switch d.Severity {
	case "error":
		r.result.Errors = append(r.result.Errors, whole)
	case "warning":
		r.line("  ! %s", indent(whole, "    ")[4:])
	case "info", "info#err":
		if !r.o.Quiet {
			r.line("    %s", indent(whole, "    ")[4:])
		}
	}
}

func (r *Renderer) policy(p *apitype.PolicyEvent) {
	message := fmt.Sprintf("policy %s (%s): %s", p.PolicyName, p.PolicyPackName, clean(p.Message))
	if p.ResourceURN != "" && urnType(p.ResourceURN) != "pulumi:pulumi:Stack" {
		message = Subject(p.ResourceURN) + ": " + message
	}
	if r.said[message] {
		return
	}
	r.said[message] = true
	if p.EnforcementLevel == "mandatory" {
		r.result.Errors = append(r.result.Errors, message)
		return
	}
	r.line("  ! %s", indent(message, "    ")[4:])
}

func (r *Renderer) download(p *apitype.ProgressEvent) {
	key := "download" + p.ID
	if r.said[key] {
		return
	}
	r.said[key] = true
	r.line("    %s", p.Message)
}

// Tick tells what is waited for when nothing was heard for a while.
func (r *Renderer) Tick() {
	now := r.o.Now()
	if len(r.running) == 0 || r.o.Quiet {
		return
	}
	text := r.waiting(now)
	if r.o.Live {
		if cut := []rune(text); len(cut) > r.o.Width-1 {
			text = string(cut[:r.o.Width-2]) + "…"
		}
		fmt.Fprintf(r.o.Out, "\r\033[K%s", text)
		r.live = true
		return
	}
	// Without a terminal each word stays in a log: speak less often the longer it takes.
	quiet := now.Sub(r.last)
	oldest := now.Sub(r.running[0].started)
	if quiet >= r.o.Patience && (oldest < 20*time.Second || quiet >= 3*r.o.Patience) {
		r.line("%s", text)
	}
}

// waiting names the operation that has run longest, what its provider last said of it, and how many run beside it.
func (r *Renderer) waiting(now time.Time) string {
	// Components are only as far as their children.
	leaves := slices.DeleteFunc(slices.Clone(r.running), func(o *operation) bool {
		return urnType(o.urn) == "pulumi:pulumi:Stack" || slices.ContainsFunc(r.running, func(other *operation) bool { return isChild(other.urn, o.urn) })
	})
	if len(leaves) == 0 {
		return ""
	}
	first := leaves[0]
	for _, o := range leaves {
		if o.status != "" {
			first = o
			break
		}
	}
	text := fmt.Sprintf("    … %s %s, %s", verbs[first.op].doing, Subject(first.urn), seconds(now.Sub(first.started)))
	if first.status != "" {
		text += ": " + first.status
	}
	if more := len(leaves) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// isChild reports whether the URN's type chain begins with the other's.
func isChild(urn, parent string) bool {
	parts := strings.SplitN(parent, "::", 4)
	if len(parts) < 4 {
		return false
	}
	return strings.HasPrefix(urn, strings.Join(parts[:3], "::")+"$")
}

func (r *Renderer) line(format string, args ...any) {
	r.wipe()
	text := fmt.Sprintf(format, args...)
	if strings.TrimSpace(text) == "" {
		return
	}
	fmt.Fprintln(r.o.Out, strings.TrimRight(text, " "))
	r.last = r.o.Now()
}

func (r *Renderer) wipe() {
	if r.live {
		fmt.Fprint(r.o.Out, "\r\033[K")
		r.live = false
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
