package progress

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/redact"
	"dbtier/internal/screen"
	"dbtier/internal/settings"
	"dbtier/internal/text"
)

// Options select how a run is shown.
type Options struct {
	// Out receives the lines.
	Out io.Writer
	// Live keeps one line with the operations in progress and redraws it; for terminals. Otherwise such a line is
	// printed now and then.
	Live bool
	// Width is the number of characters of a line of the terminal. 0 if the output is not one; lines are then not cut.
	Width int
	// Planning shows what a preview would do; Inputs adds every input.
	Planning, Inputs bool
	// Quiet shows only errors and warnings.
	Quiet bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Secrets are removed from the values of changes. The credentials in the inputs of resources are added to them, so
	// that Out can remove them too. Optional.
	Secrets *redact.Redactor
	// Told are the warnings and findings that were printed. Renderers that share it print each once. Optional.
	Told map[string]bool
	// Explain returns what to print of a provider's error on a resource. Optional.
	Explain func(urn, message string) string
	// Patience is how long the output stays silent before a line names the operation being waited for. Default 3 s.
	Patience time.Duration
}

// Result is the outcome of a run.
type Result struct {
	// Changes counts resources by operation.
	Changes map[apitype.OpType]int
	// Errors are the run's errors, each once, ready to print.
	Errors []string
	// Warnings are the run's warnings, each once, ready to print.
	Warnings []string
	// Findings are the violations that policies reported, each once. The mandatory ones are in Errors too.
	Findings []Finding
	// Steps are the operations on resources, in the engine's order. A refresh that found no difference is not a step.
	Steps []Step
	// Outputs are the stack's outputs after the run, or as far as a preview knows them, with the placeholders of
	// Step.Inputs.
	Outputs map[string]any
	// Before are the stack's outputs before the run. Secret ones are placeholders.
	Before map[string]any
	// Done counts the operations that succeeded, without the one on the stack itself.
	Done int
	// Ended is true when the engine has sent its summary of the run.
	Ended bool
}

// Step is an operation on a resource that the engine has done or would do.
type Step struct {
	URN  string         `json:"urn"`
	Type string         `json:"type"`
	Name string         `json:"name"`
	Op   apitype.OpType `json:"op"`
	// Inputs are the resource's inputs, with placeholders for secret and unknown values.
	Inputs map[string]any `json:"inputs,omitempty"`
	// Changed are the paths of the properties that differ.
	Changed []string `json:"changed,omitempty"`
	// Values are the changes of these properties. A report fills them in.
	Values []Change `json:"values,omitempty"`
	// Because are the properties whose change forces a replacement.
	Because []string `json:"because,omitempty"`
	// Retained is true when a deletion removes the resource from the state only.
	Retained bool `json:"retained,omitempty"`
	// Protected is true if the engine protects the resource from being deleted or replaced.
	Protected bool `json:"protected,omitempty"`
	// Options are the options of the engine that the step sets or clears in the state: protect, retainOnDelete. The
	// resource itself does not change by them.
	Options []string `json:"options,omitempty"`
	// Failed is true when the operation failed.
	Failed bool `json:"failed,omitempty"`
	// Parent and Provider are the URNs of the resource's parent and provider, before or after the step.
	Parent, Provider string `json:"-"`
	// ID is the provider's id of the resource; empty until the resource exists.
	ID string `json:"id,omitempty"`
	// Before and After are the resource's states before and after the step, with secrets masked by the engine.
	Before, After map[string]any `json:"-"`
	// Last is the state that the last update left, before a refresh in this run. Now is the state that this run left.
	Last, Now State `json:"-"`
	// Found are the properties that a refresh has found; nil for any other step.
	Found map[string]any `json:"-"`
}

// State is a resource's inputs, and its outputs as the provider answered.
type State struct{ Inputs, Outputs map[string]any }

// Finding is a violation that a policy reported.
type Finding struct {
	Policy string `json:"policy"`
	Pack   string `json:"pack"`
	// Level is advisory or mandatory.
	Level   string `json:"level"`
	Message string `json:"message"`
	// URN is the resource; empty for a finding on the whole stack.
	URN string `json:"urn,omitempty"`
	// Settings are those of the stack's file that the finding comes from, if they are known: database.multiAz.
	Settings []string `json:"settings,omitempty"`
}

// Mandatory is the level of a policy that stops a run.
const Mandatory = "mandatory"

// Violated reports whether a mandatory policy is violated.
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
	// kept is true for a resource that only leaves the state.
	kept bool
	// component is true for a resource without a provider: it only waits for others.
	component bool
}

// verb are the operation's words and its sign.
func (o *operation) verb() verb { return verbOf(o.op, o.kept) }

// Renderer turns the engine's events into lines and a Result.
type Renderer struct {
	o       Options
	running []*operation
	result  Result
	said    map[string]bool
	// refreshed are the steps of a refresh, by URN, until their result is known.
	refreshed map[string]Step
	// before are the states that a refresh in this run has replaced, by URN.
	before map[string]State
	// replacements counts the replacements that were created, replaced the deleted resources that they take the place
	// of, or should.
	replacements, replaced int
	// cancelled are the errors that say only that a call was cancelled. After the first error the engine cancels what
	// is in flight, so that they are the reason only of a run without any other error.
	cancelled []string
	// last is the time of the last line. live is true while the live line is shown.
	last time.Time
	live bool
}

// New returns a renderer for one run.
func New(o Options) *Renderer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 3 * time.Second
	}
	if o.Told == nil {
		o.Told = map[string]bool{}
	}
	return &Renderer{
		o: o, said: map[string]bool{}, refreshed: map[string]Step{}, before: map[string]State{},
		last:   o.Now(),
		result: Result{Changes: map[apitype.OpType]int{}},
	}
}

// Consume shows the events until the channel or stop closes, and returns the result. An engine that dies before it
// opens its stream never closes the channel; stop ends Consume then.
func (r *Renderer) Consume(stream <-chan events.EngineEvent, stop <-chan struct{}) Result {
	r.consume(stream, stop)
	r.wipe()
	if len(r.result.Errors) == 0 {
		r.result.Errors = r.cancelled
	}
	return r.result
}

func (r *Renderer) consume(stream <-chan events.EngineEvent, stop <-chan struct{}) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case event, ok := <-stream:
			if !ok {
				return
			}
			r.Event(event)
		case <-tick.C:
			r.Tick()
		case <-stop:
			for {
				select {
				case event, ok := <-stream:
					if !ok {
						return
					}
					r.Event(event)
				default:
					return
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
		r.countReplacements()
	}
}

// countReplacements counts only replacements that were created. The engine also counts one whose old resource is
// deleted and whose creation failed or was not reached: then a deletion is all that was done.
func (r *Renderer) countReplacements() {
	if more := r.result.Changes[apitype.OpReplace] - r.replacements; !r.o.Planning && more > 0 {
		r.result.Changes[apitype.OpReplace] -= more
		if gone := min(more, r.replaced-r.replacements); gone > 0 {
			r.result.Changes[apitype.OpDelete] += gone
		}
	}
}

func (r *Renderer) begin(m apitype.StepEventMetadata) {
	step := stepOf(m)
	r.o.Secrets.Learn(step.Last.Inputs)
	r.o.Secrets.Learn(step.Inputs)
	if m.Op == apitype.OpRefresh {
		r.refreshed[m.URN], r.before[m.URN] = step, step.Last
	} else {
		if last, ok := r.before[m.URN]; ok {
			step.Last = last
		}
		r.result.Steps = append(r.result.Steps, step)
	}
	switch {
	case m.Op == apitype.OpSame && len(step.Options) > 0 && step.Type != stackType:
		r.plan(step)
	case m.Op == apitype.OpSame || verbs[m.Op].sign == "":
	case m.Op == apitype.OpRefresh:
		// A refresh is shown only while it is waited for.
		r.running = append(r.running, &operation{urn: m.URN, op: m.Op, started: r.o.Now()})
	case r.o.Planning:
		r.plan(step)
	case m.Op == apitype.OpReplace:
		// The engine's marker between creating the replacement and deleting the replaced resource.
	default:
		r.running = append(r.running, &operation{
			urn: m.URN, op: m.Op, started: r.o.Now(), kept: step.Retained, component: m.New != nil && !m.New.Custom,
		})
	}
}

func stepOf(m apitype.StepEventMetadata) Step {
	_, name := split(m.URN)
	step := Step{
		URN: m.URN, Type: m.Type, Name: name, Op: m.Op, Because: slices.Clone(m.Keys),
	}
	if m.New != nil {
		step.Inputs, step.After, step.ID = m.New.Inputs, whole(m.New), m.New.ID
	}
	for _, state := range []*apitype.StepEventStateMetadata{m.Old, m.New} {
		if state != nil {
			step.Parent, step.Provider = state.Parent, withoutID(state.Provider)
		}
	}
	if m.Old != nil {
		step.Last = State{m.Old.Inputs, m.Old.Outputs}
		step.Before, step.Retained, step.Protected = whole(m.Old), m.Old.RetainOnDelete, m.Old.Protect
		if step.ID == "" {
			step.ID = m.Old.ID
		}
	}
	if m.Old != nil && m.New != nil {
		if m.Old.Protect != m.New.Protect {
			step.Options = append(step.Options, "protect")
		}
		if m.Old.RetainOnDelete != m.New.RetainOnDelete {
			step.Options = append(step.Options, "retainOnDelete")
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

// withoutID returns the URN in a reference to a provider, <urn>::<id>.
func withoutID(reference string) string {
	if at := strings.LastIndex(reference, "::"); at >= 0 {
		return reference[:at]
	}
	return reference
}

// whole merges a state's outputs and inputs. Inputs win: they are spelled as the program spells them.
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
	sign, end := verbOf(step.Op, step.Retained).sign, ""
	switch {
	case step.Op == apitype.OpSame:
		sign = verbs[apitype.OpUpdate].sign
	case sign == kept.sign:
		end = kept.done
	}
	r.row(sign, step.Type, step.Name, end)
	if len(step.Options) > 0 {
		r.line("        changes in the state only: %s", strings.Join(step.Options, ", "))
	}
	if r.o.Inputs && step.Op != apitype.OpDelete && len(step.Inputs) > 0 {
		fmt.Fprint(r.o.Out, indent(strings.TrimRight(writeInputs(step.Inputs), "\n"), "        ")+"\n")
		return
	}
	r.Changes(&step, "changes")
}

// diffShown is the number of lines that are shown of a text's difference.
const diffShown = 40

// Changes prints what a step changes. The verb introduces the properties of a step without values.
func (r *Renderer) Changes(step *Step, verb string) {
	changes := step.Changes(r.o.Secrets.Clean)
	if changes == nil && len(step.Changed) > 0 {
		r.line("        %s: %s", verb, strings.Join(step.Changed, ", "))
	}
	for _, change := range changes {
		r.line("        %s", change)
		for _, line := range change.Diff[:min(len(change.Diff), diffShown)] {
			r.line("          %s", line)
		}
		if more := len(change.Diff) - diffShown; more > 0 {
			r.line("          … %d more lines; --json shows all", more)
		}
	}
}

func (r *Renderer) end(m apitype.StepEventMetadata, ok bool) {
	_, name := split(m.URN)
	if m.Type == stackType && m.New != nil && ok {
		if outputs, known := Sanitize(m.New.Outputs).(map[string]any); known && len(outputs) > 0 {
			r.result.Outputs = outputs
		}
		if m.Old != nil {
			r.result.Before, _ = Sanitize(m.Old.Outputs).(map[string]any)
		}
	}
	if step, found := r.refreshed[m.URN]; found && (ok || m.Op == apitype.OpRefresh) {
		r.found(step, m, ok)
		return
	}
	if ok && !r.o.Planning && m.New != nil {
		r.answered(m)
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
		if m.Op == apitype.OpCreateReplacement || m.Op == apitype.OpImportReplacement {
			r.replacements++
		}
		if m.Op == apitype.OpDeleteReplaced {
			r.replaced++
		}
	}
	if m.Type == stackType || ok && (r.o.Quiet || strings.HasPrefix(m.Type, "pulumi:providers:")) {
		return
	}
	took := r.o.Now().Sub(o.started)
	switch {
	case ok && o.verb() == kept:
		r.row(kept.sign, m.Type, name, fmt.Sprintf("%6s", kept.done))
		return
	case ok:
		r.row(verbs[m.Op].sign, m.Type, name, fmt.Sprintf("%6s", seconds(took)))
		return
	}
	r.row("✗", m.Type, name, "failed after "+seconds(took))
}

// row prints a resource: what happens to it, its type and name, and how it ended. On a terminal it is one line. The
// columns of type and name are wide enough for what the tier has; a longer type takes the room that its name leaves.
func (r *Renderer) row(sign, kind, name, end string) {
	types, names := 40, 64
	kind = ShortType(kind)
	if r.o.Width > 0 {
		left := r.o.Width - len("  + ") - len(" ")
		if end != "" {
			left -= len(" ") + utf8.RuneCountInString(end)
		}
		types = min(types, max(left/2, 10))
		names = min(max(left-types, 10), names)
		kind, name = screen.Cut(kind, types), screen.Cut(name, names)
	}
	r.line("  %s %-*s %s", sign, types+1+names, fmt.Sprintf("%-*s %s", types, kind, name), end)
}

// answered records the state that a step left.
func (r *Renderer) answered(m apitype.StepEventMetadata) {
	for i := len(r.result.Steps) - 1; i >= 0; i-- {
		if step := &r.result.Steps[i]; step.URN == m.URN && step.Op == m.Op {
			step.Now = State{m.New.Inputs, m.New.Outputs}
			return
		}
	}
}

func (r *Renderer) failed(m apitype.StepEventMetadata) {
	for i := len(r.result.Steps) - 1; i >= 0; i-- {
		if r.result.Steps[i].URN == m.URN && r.result.Steps[i].Op == m.Op {
			r.result.Steps[i].Failed = true
			return
		}
	}
}

// found handles the end of a resource's refresh. In a run that only refreshes, the event's operation is the result: the
// resource is the same, it differs, or it is gone. The refresh at the beginning of an update has no such result; the
// update's own steps show it.
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
	if m.New != nil {
		step.Found = m.New.Outputs
	}
	// What a refresh does not find is gone, also if a deletion would have kept it.
	step.Retained = step.Retained && m.Op != apitype.OpDelete
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
	r.row(verbs[m.Op].sign, m.Type, step.Name, "")
	r.Changes(&step, "differs")
}

func (r *Renderer) diagnostic(d *apitype.DiagnosticEvent) {
	message := clean(d.Message)
	if d.Ephemeral {
		for _, o := range r.running {
			if o.urn == d.URN && message != "" {
				o.status = text.FirstLine(message)
			}
		}
		return
	}
	if isNoise(message) {
		return
	}
	if !r.o.Inputs {
		message = withoutValues(message)
	}
	message = outsidePlan(d.URN, message)
	if r.o.Explain != nil && d.Severity == "error" {
		message = r.o.Explain(d.URN, message)
	}
	whole := message
	if d.URN != "" && !isStack(d.URN) {
		whole = Subject(d.URN) + ": " + message
	}
	if !r.isNew(d.Severity + whole) {
		return
	}
	switch d.Severity {
	case "error":
		if isConsequence(message) {
			r.cancelled = append(r.cancelled, whole)
			return
		}
		r.result.Errors = append(r.result.Errors, whole)
	case "warning":
		r.result.Warnings = append(r.result.Warnings, whole)
		r.warn(whole)
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
	if isStack(finding.URN) {
		finding.URN = ""
	}
	finding.Settings = settingsOf(finding)
	message := finding.String()
	if !r.isNew(message) {
		return
	}
	r.result.Findings = append(r.result.Findings, finding)
	if p.EnforcementLevel == Mandatory {
		r.result.Errors = append(r.result.Errors, message)
		return
	}
	r.warn(message)
}

// warn prints a warning or a finding that was not printed before.
func (r *Renderer) warn(message string) {
	if !r.o.Told[message] {
		r.o.Told[message] = true
		r.line("  ! %s", indent(message, "    ")[4:])
	}
}

// String is the finding for people.
func (f Finding) String() string {
	message := fmt.Sprintf("policy %s (%s): %s", f.Policy, f.Pack, f.Message)
	if f.URN != "" {
		message = Subject(f.URN) + ": " + message
	}
	return message + f.Advice()
}

// Advice names the settings in the stack's file that the finding comes from, and for a mandatory policy the exception
// that allows it. It is empty if the settings are not known.
func (f Finding) Advice() string {
	if len(f.Settings) == 0 {
		return ""
	}
	advice := fmt.Sprintf("\nsetting: %s in Pulumi.%s.yaml", strings.Join(f.Settings, ", "), stackOf(f.URN))
	if f.Level == Mandatory {
		_, name := split(f.URN)
		advice += fmt.Sprintf("\nif it must stay for a while, allow it in the same file, by a line below config: "+
			"dbtier-policy:exceptions: {%s: [{resource: %s, owner: <team>, reason: <why>, expires: <YYYY-MM-DD>}]}",
			f.Policy, name)
	}
	return advice
}

// settingsOf returns the settings that a finding comes from. A line of the message begins with the property's path, if
// the finding is about one.
func settingsOf(f Finding) []string {
	if f.URN == "" {
		return nil
	}
	path := ""
	for line := range strings.Lines(f.Message) {
		before, _, found := strings.Cut(line, ": ")
		if found && !strings.Contains(before, " ") && before != "fix" {
			path = before
			break
		}
	}
	_, name := split(f.URN)
	return settings.Recorded().Cause(f.Policy, name, path)
}

// download announces the download of a plugin.
func (r *Renderer) download(p *apitype.ProgressEvent) {
	if r.isNew("download" + p.ID) {
		r.line("    %s", p.Message)
	}
}

// isNew reports whether this is the first call with the key.
func (r *Renderer) isNew(key string) bool {
	before := r.said[key]
	r.said[key] = true
	return !before
}

// Tick names the operation being waited for when nothing was printed for a while.
func (r *Renderer) Tick() {
	now := r.o.Now()
	if len(r.running) == 0 || r.o.Quiet {
		return
	}
	waiting := r.waiting(now)
	if r.o.Live {
		fmt.Fprintf(r.o.Out, "\r\033[K%s", screen.Cut(waiting, r.o.Width-1))
		r.live = true
		return
	}
	// Every line stays in a log: print fewer of them the longer the operation takes.
	quiet := now.Sub(r.last)
	oldest := now.Sub(r.running[0].started)
	if quiet >= r.o.Patience && (oldest < 20*time.Second || quiet >= 3*r.o.Patience) {
		r.line("%s", waiting)
	}
}

// waiting names one operation in progress with its provider's last message, and the number of the others.
func (r *Renderer) waiting(now time.Time) string {
	// The stack and components wait for their children.
	leaves := slices.DeleteFunc(slices.Clone(r.running), func(o *operation) bool {
		return isStack(o.urn) || slices.ContainsFunc(r.running,
			func(other *operation) bool { return isChild(other.urn, o.urn) })
	})
	// A component whose children are done waits for the program, which waits for another resource.
	if work := slices.DeleteFunc(slices.Clone(leaves), func(o *operation) bool { return o.component }); len(work) > 0 {
		leaves = work
	}
	if len(leaves) == 0 {
		return ""
	}
	first := leaves[max(0, slices.IndexFunc(leaves, func(o *operation) bool { return o.status != "" }))]
	line := fmt.Sprintf("    … %s %s, %s", first.verb().doing, Subject(first.urn), seconds(now.Sub(first.started)))
	if first.status != "" {
		line += ": " + first.status
	}
	if more := len(leaves) - 1; more > 0 {
		line += fmt.Sprintf(" (and %d more)", more)
	}
	return line
}

// isChild reports whether the URN's chain of types begins with the parent's.
func isChild(urn, parent string) bool {
	parts := strings.SplitN(parent, "::", 4)
	if len(parts) < 4 {
		return false
	}
	return strings.HasPrefix(urn, strings.Join(parts[:3], "::")+"$")
}

func (r *Renderer) line(format string, args ...any) {
	r.wipe()
	line := fmt.Sprintf(format, args...)
	if strings.TrimSpace(line) == "" {
		return
	}
	fmt.Fprintln(r.o.Out, strings.TrimRight(line, " "))
	r.last = r.o.Now()
}

func (r *Renderer) wipe() {
	if r.live {
		fmt.Fprint(r.o.Out, "\r\033[K")
		r.live = false
	}
}
