package summary

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/redact"
)

// Limit is the maximum length of a comment on a pull request, in characters. It is GitHub's; GitLab's is higher.
const Limit = 65_536

// Stack is the result of a command on a stack.
type Stack struct {
	Name, Command string
	// Outcome describes in a few words how the command ended. OK is true unless it failed.
	Outcome string
	OK      bool
	// Planning is true if nothing was changed.
	Planning bool
	Seconds  float64
	Changes  map[apitype.OpType]int
	Steps    []progress.Step
	Losses   []guard.Loss
	// Obstacles are the reasons why the stack cannot be destroyed.
	Obstacles []guard.Obstacle
	// Conflicts are the objects that the stack would create and that exist already.
	Conflicts []guard.Conflict
	Findings  []progress.Finding
	// Connections is the maximum that the tier opens, ConnectionLimit the maximum that it may open; 0 if not known.
	Connections, ConnectionLimit int
	// ConnectionsBefore is the maximum before the run, if the run changed it or would change it.
	ConnectionsBefore int
	// ConnectionPlan explains Connections: one line for each holder.
	ConnectionPlan          []string
	Faults, Warnings, Notes []string
}

// Markdown writes the summary of one or several stacks in at most limit characters.
func Markdown(stacks []Stack, secrets *redact.Redactor, limit int) string {
	d := &document{secrets: secrets, limit: limit}
	if len(stacks) > 1 {
		d.overview(stacks)
	}
	for i := range stacks {
		d.stack(&stacks[i])
	}
	return d.render()
}

// section is a part of the document: rows between a head and a foot. The last rows can be left out.
type section struct {
	head, foot string
	rows       []string
	// priority decides what is kept if not everything fits; 0 is kept first.
	priority int
	// what names the rows in the note about those that are left out.
	what string
	kept int
	in   bool
}

type document struct {
	secrets  *redact.Redactor
	limit    int
	sections []*section
}

// The priorities of sections.
const (
	loud = iota
	important
	ordinary
	detail
)

func (d *document) add(s *section) { d.sections = append(d.sections, s) }

func (d *document) overview(stacks []Stack) {
	head := fmt.Sprintf("## dbtier %s of %d stacks\n\n| | stack | |\n|---|---|---|\n", stacks[0].Command, len(stacks))
	s := &section{head: head, foot: "\n", priority: loud, what: "stacks"}
	for i := range stacks {
		at := &stacks[i]
		text := at.Outcome
		if n := len(guard.Refused(at.Losses)); n > 0 {
			text += fmt.Sprintf(", **%d would lose data**", n)
		}
		if n := len(at.Conflicts); n > 0 {
			text += fmt.Sprintf(", **%d exist already**", n)
		}
		s.rows = append(s.rows, fmt.Sprintf("| %s | %s | %s |\n", sign(at), d.code(at.Name), text))
	}
	d.add(s)
}

func sign(s *Stack) string {
	switch {
	case !s.OK:
		return "❌"
	case len(guard.Refused(s.Losses)) > 0:
		return "🚨"
	case s.drifted(), len(s.Conflicts) > 0:
		return "⚠️"
	default:
		return "✅"
	}
}

// Drift is the command whose steps are changes that others made.
const Drift = "drift"

func (s *Stack) drifted() bool {
	return s.Command == Drift && progress.Result{Changes: s.Changes}.Changed()
}

// drift are the words for changes that others made.
var drift = map[apitype.OpType]string{apitype.OpDelete: "is gone", apitype.OpUpdate: "differs"}

func (d *document) stack(s *Stack) {
	title := fmt.Sprintf("## %s dbtier %s of %s: %s\n\n", sign(s), s.Command, d.code(s.Name), s.Outcome)
	if s.Changes != nil && s.Command != Drift {
		result := progress.Result{Changes: s.Changes, Steps: s.Steps}
		title += result.Summary(s.Planning, time.Duration(s.Seconds*float64(time.Second))) + "\n\n"
	}
	d.add(&section{head: title, priority: loud})
	d.losses(s)
	d.obstacles(s)
	d.conflicts(s)
	d.faults(s)
	d.policies(s)
	if s.Connections > 0 {
		text := fmt.Sprintf("**Connections:** the tier opens at most %d", s.Connections)
		if s.ConnectionsBefore > 0 {
			text += fmt.Sprintf(" (was %d)", s.ConnectionsBefore)
		}
		if s.ConnectionLimit > 0 {
			text += fmt.Sprintf(" of the allowed %d (%d %%)", s.ConnectionLimit, 100*s.Connections/s.ConnectionLimit)
		}
		plan := &section{head: text + "\n\n", priority: important, what: "holders of connections"}
		for _, line := range s.ConnectionPlan {
			plan.rows = append(plan.rows, "- "+d.text(line)+"\n")
		}
		if len(plan.rows) > 0 {
			plan.foot = "\n"
		}
		d.add(plan)
	}
	d.changes(s)
	d.warnings(s)
}

func (d *document) losses(s *Stack) {
	if len(s.Losses) == 0 {
		return
	}
	head := "> [!CAUTION]\n> **Data would be lost.**\n"
	if !s.Planning && s.OK {
		head = "> [!CAUTION]\n> **Data was lost, as allowed.**\n"
	}
	out := &section{head: head, foot: "\n", priority: loud, what: "resources that lose data"}
	for _, l := range s.Losses {
		doing := "is **deleted**"
		if l.Op == apitype.OpReplace {
			doing = "is **replaced** by an empty one"
			if len(l.Because) > 0 {
				doing += " because of " + d.codes(l.Because)
			}
		}
		row := fmt.Sprintf("> - %s %s %s: %s", d.text(progress.ShortType(l.Type)), d.code(l.Name), doing, l.What)
		if !l.Allowed {
			row += fmt.Sprintf(" (`up` needs %s)", d.code("--allow-data-loss "+l.Name))
		}
		out.rows = append(out.rows, row+"\n")
	}
	d.add(out)
}

func (d *document) obstacles(s *Stack) {
	if len(s.Obstacles) == 0 {
		return
	}
	out := &section{
		head: "> [!IMPORTANT]\n> **Resources are protected.**\n", foot: "\n", priority: loud,
		what: "obstacles",
	}
	for _, o := range s.Obstacles {
		out.rows = append(out.rows, fmt.Sprintf("> - %s %s: %s\n", d.code(progress.Subject(o.URN)), d.text(o.Reason),
			d.text(o.Fix)))
	}
	d.add(out)
}

func (d *document) conflicts(s *Stack) {
	if len(s.Conflicts) == 0 {
		return
	}
	out := &section{
		head: "> [!IMPORTANT]\n> **Objects of the same names exist already.** `up` stops before it changes anything.\n",
		foot: "\n", priority: loud, what: "objects that exist already",
	}
	for _, c := range s.Conflicts {
		out.rows = append(out.rows, fmt.Sprintf("> - %s: %s\n", d.code(c.String()), d.text(c.Fix)))
	}
	d.add(out)
}

func (d *document) faults(s *Stack) {
	if len(s.Faults) == 0 {
		return
	}
	out := &section{head: "**Faults**\n\n", foot: "\n", priority: loud, what: "faults"}
	for _, fault := range s.Faults {
		out.rows = append(out.rows, d.block("text", fault))
	}
	d.add(out)
}

func (d *document) policies(s *Stack) {
	if len(s.Findings) == 0 {
		return
	}
	findings := slices.Clone(s.Findings)
	slices.SortStableFunc(findings, func(a, b progress.Finding) int {
		return rank(a.Level) - rank(b.Level)
	})
	mandatory := 0
	for _, f := range findings {
		mandatory += 1 - rank(f.Level)
	}
	head := fmt.Sprintf("**Policies:** %d mandatory, %d advisory\n\n| | policy | resource | |\n|---|---|---|---|\n",
		mandatory, len(findings)-mandatory)
	out := &section{head: head, foot: "\n", priority: important, what: "findings of policies"}
	for _, f := range findings {
		resource := "the stack"
		if f.URN != "" {
			resource = d.text(progress.Subject(f.URN))
		}
		mark := "⚠️"
		if f.Level == progress.Mandatory {
			mark = "⛔"
		}
		out.rows = append(out.rows, fmt.Sprintf("| %s %s | %s | %s | %s |\n", mark, d.text(f.Level), d.code(f.Policy),
			resource, d.text(f.Message+f.Advice())))
	}
	d.add(out)
}

func rank(level string) int {
	if level == progress.Mandatory {
		return 0
	}
	return 1
}

// order is the order in which changes are shown: those that delete something first.
var order = []apitype.OpType{
	apitype.OpDelete, apitype.OpReplace, apitype.OpUpdate, apitype.OpCreate, apitype.OpImport,
}

func (d *document) changes(s *Stack) {
	steps := slices.DeleteFunc(slices.Clone(s.Steps), func(step progress.Step) bool {
		return !slices.Contains(order, step.Op) && len(step.Options) == 0 || strings.HasPrefix(step.Type, "pulumi:")
	})
	if len(steps) == 0 {
		return
	}
	slices.SortStableFunc(steps, func(a, b progress.Step) int {
		if byOp := slices.Index(order, a.Op) - slices.Index(order, b.Op); byOp != 0 {
			return byOp
		}
		return strings.Compare(a.URN, b.URN)
	})
	table := &section{
		head: "| | resource | name | changes |\n|---|---|---|---|\n", foot: "\n", priority: ordinary,
		what: "changes",
	}
	values := &section{
		head: "<details><summary>Values</summary>\n\n", foot: "\n</details>\n\n", priority: detail,
		what: "resources with their values",
	}
	for _, step := range steps {
		word := progress.Verb(step.Op, s.Planning)
		if found := drift[step.Op]; s.Command == Drift && found != "" {
			word = found
		}
		kept := step.Retained && step.Op == apitype.OpDelete && s.Command != Drift && !step.Failed
		if kept {
			word = "keep, remove from the state"
			if !s.Planning {
				word = "kept, removed from the state"
			}
		}
		if step.Op == apitype.OpSame {
			word = "change in the state only"
		}
		if step.Failed {
			word = "❌ " + word
		}
		if step.Op == apitype.OpDelete && !kept || step.Op == apitype.OpReplace {
			word = "**" + word + "**"
		}
		table.rows = append(table.rows,
			fmt.Sprintf("| %s | %s | %s | %s |\n", word, d.text(progress.ShortType(step.Type)), d.code(step.Name),
				d.codes(slices.Concat(step.Changed, step.Options))))
		if row := d.values(step); row != "" {
			values.rows = append(values.rows, row)
		}
	}
	d.add(table)
	if len(values.rows) > 0 {
		d.add(values)
	}
}

// values lists the properties that a step changes, with their old and new values or the lines that differ.
func (d *document) values(step progress.Step) string {
	changes := step.Changes(d.secrets.Clean)
	if changes == nil {
		// A report that was read again has no states.
		changes = step.Values
	}
	if len(changes) == 0 {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "- %s %s\n", d.text(progress.ShortType(step.Type)), d.code(step.Name))
	for _, change := range changes {
		if change.Diff == nil {
			fmt.Fprintf(&out, "  - %s: %s → %s\n", d.code(change.Path), d.value(change.Was), d.value(change.Is))
			continue
		}
		fmt.Fprintf(&out, "  - %s:\n", d.code(change.Path))
		block := strings.TrimRight(d.block("diff", strings.Join(change.Diff, "\n")), "\n")
		out.WriteString("    " + strings.ReplaceAll(block, "\n", "\n    ") + "\n")
	}
	return out.String()
}

func (d *document) value(text string) string {
	if text == "" {
		return "nothing"
	}
	return d.code(text)
}

func (d *document) warnings(s *Stack) {
	for _, list := range []struct {
		title string
		lines []string
	}{{"Warnings", s.Warnings}, {"Notes", s.Notes}} {
		if len(list.lines) == 0 {
			continue
		}
		head, what := "<details><summary>"+list.title+"</summary>\n\n", strings.ToLower(list.title)
		out := &section{head: head, foot: "\n</details>\n\n", priority: detail, what: what}
		for _, line := range list.lines {
			out.rows = append(out.rows, d.block("text", line))
		}
		d.add(out)
	}
}

// longest is the maximum length of one text, in characters.
const longest = 2000

func (d *document) shorten(text string) string {
	text = d.secrets.Clean(text)
	if runes := []rune(text); len(runes) > longest {
		return fmt.Sprintf("%s… (%d of %d characters)", string(runes[:longest]), longest, len(runes))
	}
	return text
}

// text escapes a text for a line or a cell of a table: nothing in it is Markdown, HTML, a mention or a line break.
func (d *document) text(text string) string {
	text = strings.Join(strings.Fields(d.shorten(text)), " ")
	return escaping.Replace(text)
}

var escaping = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&",
	"&amp;", "@", "@\u200b", "#", `\#`,
)

// code writes a text as code on one line. It escapes bars, which would end a cell of a table.
func (d *document) code(text string) string {
	text = strings.ReplaceAll(strings.Join(strings.Fields(d.shorten(text)), " "), "|", `\|`)
	fence := strings.Repeat("`", run(text, '`')+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

func (d *document) codes(texts []string) string {
	const most = 20
	var parts []string
	for _, text := range texts[:min(len(texts), most)] {
		parts = append(parts, d.code(text))
	}
	if more := len(texts) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// block writes a text as a block of code in a language.
func (d *document) block(language, text string) string {
	text = d.shorten(strings.TrimRight(text, "\n"))
	fence := strings.Repeat("`", max(3, run(text, '`')+1))
	return fence + language + "\n" + text + "\n" + fence + "\n"
}

// run returns the length of the longest run of a character.
func run(text string, of rune) int {
	longest, now := 0, 0
	for _, r := range text {
		if r != of {
			now = 0
			continue
		}
		now++
		longest = max(longest, now)
	}
	return longest
}

// headroom is the maximum length of the note about rows that are left out, and of the notice at the top.
const headroom = 160

func leftOut(s *section) string {
	if s.kept == len(s.rows) {
		return ""
	}
	return fmt.Sprintf("\n_%d of %d %s are left out here for size._\n", len(s.rows)-s.kept, len(s.rows), s.what)
}

// render fits the sections into the limit: first those with the highest priority, each with as many rows as fit.
func (d *document) render() string {
	room := d.limit - headroom
	byPriority := slices.Clone(d.sections)
	slices.SortStableFunc(byPriority, func(a, b *section) int { return a.priority - b.priority })
	missing := map[string]int{}
	for _, s := range byPriority {
		frame := characters(s.head) + characters(s.foot)
		if frame+headroom > room {
			missing[s.what] += max(len(s.rows), 1)
			continue
		}
		s.in = true
		room -= frame
		// Keep room for the note about rows that are left out.
		spare := 0
		if len(s.rows) > 0 {
			spare = headroom
		}
		for _, row := range s.rows {
			size := characters(row)
			if size+spare > room {
				break
			}
			room -= size
			s.kept++
		}
		if s.kept < len(s.rows) {
			room -= headroom
		}
	}
	var out strings.Builder
	if len(missing) > 0 {
		parts := make([]string, 0, len(missing))
		for _, what := range slices.Sorted(maps.Keys(missing)) {
			if what == "" {
				what = "parts"
			}
			parts = append(parts, what)
		}
		notice := "_Shortened: this summary has no room for all " + strings.Join(parts, ", ")
		if characters(notice) > headroom-30 {
			notice = "_Shortened: this summary has no room for all " + strconv.Itoa(len(parts)) + " kinds of parts"
		}
		out.WriteString(notice + "._\n\n")
	}
	for _, s := range d.sections {
		if !s.in {
			continue
		}
		out.WriteString(s.head)
		for _, row := range s.rows[:s.kept] {
			out.WriteString(row)
		}
		out.WriteString(leftOut(s))
		out.WriteString(s.foot)
	}
	return out.String()
}

// characters counts UTF-16 units, as GitHub and GitLab count the length of a comment.
func characters(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
