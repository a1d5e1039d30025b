package progress

import (
	"fmt"
	"io"
	"maps"
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
	// Warnings are the run's warnings, each once, ready to print.
	Warnings []string
	// Findings are what policies had to say, each once; those that are mandatory are among Errors too.
	Findings []Finding
	// Steps are the resources that the engine went through, in its order. A refresh that found nothing new is none.
	Steps []Step
	// Outputs are the stack's outputs after the run, or as a preview knows them; placeholders as in Step.Inputs.
	Outputs map[string]any
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
	// Because are the properties whose change forces a replacement.
	Because []string `json:"because,omitempty"`
	// Retained says that a deletion takes the resource out of the state and leaves it where it is.
	Retained bool `json:"retained,omitempty"`
	// Failed says that the operation failed.
	Failed bool `json:"failed,omitempty"`
	// ID is what the resource's provider knows it by; empty for one that is not there yet.
	ID string `json:"id,omitempty"`
	// Before and After are the whole states on both sides of the step, as the engine shows them: secrets are masked.
	Before, After map[string]any `json:"-"`
}

// Finding is what a policy had to say.
type Finding struct {
	Policy string `json:"policy"`
	Pack   string `json:"pack"`
	// Level is advisory or mandatory.
	Level string `json:"level"`
	// Message is the policy's own; URN the resource that it is about, empty for the whole stack.
	Message string `json:"message"`
	URN     string `json:"urn,omitempty"`
}

// Mandatory is the level of a policy that stops a run.
const Mandatory = "mandatory"

// Violated reports whether a mandatory policy was.
func (r *Result) Violated() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Mandatory })
}

// stackType is the type of the stack itself among its resources.
const stackType = "pulumi:pulumi:Stack"

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
	// refreshed are the steps of a refresh, by URN, until it is known what they found.
	refreshed map[string]Step
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
	return &Renderer{
		o: o, said: map[string]bool{}, refreshed: map[string]Step{}, last: o.Now(),
		result: Result{Changes: map[apitype.OpType]int{}},
	}
}

// Consume shows the events until the channel closes or stop does; then it returns what the run did. The engine may die
// before it opens its stream, and then nobody closes the channel: hence stop.
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
	step := stepOf(m)
	if m.Op == apitype.OpRefresh {
		r.refreshed[m.URN] = step
	} else {
		r.result.Steps = append(r.result.Steps, step)
	}
	switch {
	case m.Op == apitype.OpSame || verbs[m.Op].sign == "":
	case m.Op == apitype.OpRefresh:
		// Hundreds of reads are nothing to tell of, but one that takes long is.
		r.running = append(r.running, &operation{urn: m.URN, op: m.Op, started: r.o.Now()})
	case r.o.Planning:
		r.plan(step)
	case m.Op == apitype.OpReplace:
		// The engine's own marker between creating the replacement and deleting the replaced.
	default:
		r.running = append(r.running, &operation{urn: m.URN, op: m.Op, started: r.o.Now()})
	}
}

func stepOf(m apitype.StepEventMetadata) Step {
	step := Step{
		URN: m.URN, Type: m.Type, Name: urnName(m.URN), Op: m.Op,
		Because: slices.Sorted(slices.Values(m.Keys)),
	}
	if m.New != nil {
		step.Inputs, step.After, step.ID = m.New.Inputs, whole(m.New), m.New.ID
	}
	if m.Old != nil {
		step.Before, step.Retained = whole(m.Old), m.Old.RetainOnDelete
		if step.ID == "" {
			step.ID = m.Old.ID
		}
	}
	for path, diff := range m.DetailedDiff {
		step.Changed = append(step.Changed, path)
		if strings.HasSuffix(string(diff.Kind), "-replace") && !slices.Contains(step.Because, path) {
			step.Because = append(step.Because, path)
		}
	}
	if len(step.Changed) == 0 {
		step.Changed = slices.Clone(m.Diffs)
	}
	slices.Sort(step.Changed)
	slices.Sort(step.Because)
	return step
}

// whole is a state's outputs under its inputs: what both have, the inputs tell in the program's spelling.
func whole(state *apitype.StepEventStateMetadata) map[string]any {
	all := maps.Clone(state.Outputs)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, state.Inputs)
	return all
}

func (r *Renderer) plan(step Step) {
	if r.o.Quiet || step.Op == apitype.OpCreateReplacement || step.Op == apitype.OpDeleteReplaced ||
		step.Type == stackType {
		return
	}
	r.line("  %s %-40s %s", verbs[step.Op].sign, ShortType(step.Type), step.Name)
	if r.o.Inputs && step.Op != apitype.OpDelete && len(step.Inputs) > 0 {
		fmt.Fprint(r.o.Out, indent(strings.TrimRight(writeInputs(step.Inputs), "\n"), "        ")+"\n")
	} else if len(step.Changed) > 0 {
		r.line("        changes: %s", strings.Join(step.Changed, ", "))
	}
}

func (r *Renderer) end(m apitype.StepEventMetadata, ok bool) {
	if m.Type == stackType && m.New != nil && ok {
		if outputs, known := Sanitize(m.New.Outputs).(map[string]any); known && len(outputs) > 0 {
			r.result.Outputs = outputs
		}
	}
	if step, found := r.refreshed[m.URN]; found && (ok || m.Op == apitype.OpRefresh) {
		r.found(step, m, ok)
		return
	}
	if !ok {
		r.failed(m)
	}
	at := slices.IndexFunc(r.running, func(o *operation) bool { return o.urn == m.URN && o.op == m.Op })
	if at < 0 {
		return
	}
	o := r.running[at]
	r.running = slices.Delete(r.running, at, at+1)
	if ok && m.Type != stackType {
		r.result.Done++
	}
	if m.Type == stackType || ok && (r.o.Quiet || strings.HasPrefix(m.Type, "pulumi:providers:")) {
		return
	}
	took := r.o.Now().Sub(o.started)
	if ok {
		r.line("  %s %-40s %-56s %6s", verbs[m.Op].sign, ShortType(m.Type), urnName(m.URN), seconds(took))
		return
	}
	r.line("  ✗ %-40s %-56s failed after %s", ShortType(m.Type), urnName(m.URN), seconds(took))
}

func (r *Renderer) failed(m apitype.StepEventMetadata) {
	for i := len(r.result.Steps) - 1; i >= 0; i-- {
		if r.result.Steps[i].URN == m.URN && r.result.Steps[i].Op == m.Op {
			r.result.Steps[i].Failed = true
			return
		}
	}
}

// found is the end of a resource's refresh. The event of a run that only refreshes names what was found: the resource
// is the same, it differs, or it is gone. The refresh at the beginning of an update does not, and the update's own
// steps tell.
func (r *Renderer) found(step Step, m apitype.StepEventMetadata, ok bool) {
	delete(r.refreshed, m.URN)
	r.running = slices.DeleteFunc(r.running,
		func(o *operation) bool { return o.urn == m.URN && o.op == apitype.OpRefresh })
	if !ok {
		step.Failed = true
		r.result.Steps = append(r.result.Steps, step)
		return
	}
	if m.Op == apitype.OpRefresh {
		return
	}
	step = stepOf(m)
	r.result.Steps = append(r.result.Steps, step)
	if m.Op == apitype.OpSame || step.Type == stackType {
		return
	}
	if !r.o.Planning {
		r.result.Done++
	}
	if r.o.Quiet {
		return
	}
	r.line("  %s %-40s %s", verbs[m.Op].sign, ShortType(m.Type), urnName(m.URN))
	if len(step.Changed) > 0 {
		r.line("        differs: %s", strings.Join(step.Changed, ", "))
	}
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
	if d.URN != "" && urnType(d.URN) != stackType {
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
		r.result.Warnings = append(r.result.Warnings, whole)
		r.line("  ! %s", indent(whole, "    ")[4:])
	case "info", "info#err":
		if !r.o.Quiet {
			r.line("    %s", indent(whole, "    ")[4:])
		}
	}
}

func (r *Renderer) policy(p *apitype.PolicyEvent) {
	finding := Finding{
		Policy: p.PolicyName, Pack: p.PolicyPackName, Level: p.EnforcementLevel,
		Message: clean(p.Message), URN: p.ResourceURN,
	}
	if urnType(finding.URN) == stackType {
		finding.URN = ""
	}
	message := finding.String()
	if r.said[message] {
		return
	}
	r.said[message] = true
	r.result.Findings = append(r.result.Findings, finding)
	if p.EnforcementLevel == Mandatory {
		r.result.Errors = append(r.result.Errors, message)
		return
	}
	r.line("  ! %s", indent(message, "    ")[4:])
}

// String is the finding for people.
func (f Finding) String() string {
	message := fmt.Sprintf("policy %s (%s): %s", f.Policy, f.Pack, f.Message)
	if f.URN != "" {
		message = Subject(f.URN) + ": " + message
	}
	return message
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
		return urnType(o.urn) == stackType || slices.ContainsFunc(r.running,
			func(other *operation) bool { return isChild(other.urn, o.urn) })
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
