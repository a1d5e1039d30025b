package catalogue

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"dbtier/policy/rule"
)

//go:embed catalogue.yaml
var text []byte

// Catalogue is a public list of rules.
type Catalogue struct {
	Name, Source string
	Rows         []Row
}

// Row is one rule of a catalogue.
type Row struct {
	// ID in the catalogue. Meaning says in this project's words what it requires.
	ID, Meaning string
	// Reason says why no rule of the pack covers the row. Empty if a rule covers it.
	Reason string
}

// Own is the prefix of ids for requirements of this tier that no catalogue has.
const Own = "tier:"

// All returns the catalogues.
func All() ([]Catalogue, error) {
	var all []Catalogue
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("the list of catalogues: %w", err)
	}
	return all, nil
}

// Claims are the names of the rules that cover an id, by the id.
type Claims map[string][]string

// Faults returns the rows that have neither a rule nor a reason, the rows that have both, and the ids of rules that no
// row has.
func Faults(all []Catalogue, claims Claims) []string {
	var faults []string
	known := map[string]bool{}
	for _, catalogue := range all {
		for _, row := range catalogue.Rows {
			switch {
			case known[row.ID]:
				faults = append(faults, row.ID+": is listed twice")
			case row.Meaning == "":
				faults = append(faults, row.ID+": has no meaning")
			case len(claims[row.ID]) > 0 && row.Reason != "":
				faults = append(faults, row.ID+": has a rule and a reason for having none")
			case len(claims[row.ID]) == 0 && row.Reason == "":
				faults = append(faults, row.ID+": has neither a rule nor a reason for having none")
			}
			known[row.ID] = true
		}
	}
	for id := range claims {
		if !known[id] && !strings.HasPrefix(id, Own) {
			faults = append(faults, id+": is not in a catalogue")
		}
	}
	slices.Sort(faults)
	return faults
}

// Markdown returns the generated part of docs/policies.md: the rules, and the coverage of catalogues by their claims.
func Markdown(all []Catalogue, rules []*rule.Rule, claims Claims) string {
	var out strings.Builder
	stack := 0
	for _, r := range rules {
		if r.IsStack() {
			stack++
		}
	}
	fmt.Fprintf(&out, "%d rules; %d of them compare the resources of a stack with each other.\n", len(rules), stack)
	family := ""
	for _, r := range rules {
		if r.Family != family {
			family = r.Family
			fmt.Fprintf(&out,
				"\n### %s\n\n| rule | requirement | severity | production | development | config "+
					"|\n|---|---|---|---|---|---|\n", family)
		}
		var knobs []string
		for _, knob := range r.Knobs {
			knobs = append(knobs, "`"+knob.Name+"`")
		}
		mark := ""
		if r.Remedy != nil {
			mark = " (remediates)"
		}
		fmt.Fprintf(&out, "| `%s`%s | %s | %s | %s | %s | %s |\n", r.Name, mark, cell(r.Summary), r.Severity,
			rule.LevelName(r.Levels.Production),
			rule.LevelName(r.Levels.Development), strings.Join(knobs, ", "))
	}
	out.WriteString("\n## Coverage of public catalogues\n")
	for _, catalogue := range all {
		fmt.Fprintf(&out,
			"\n### %s\n\nSource: %s.\n\n| id | meaning | rule, or reason for having none |\n|---|---|---|\n",
			catalogue.Name, catalogue.Source)
		for _, row := range catalogue.Rows {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", row.ID, cell(row.Meaning), cell(coverage(row, rules, claims)))
		}
	}
	out.WriteString("\n### This tier\n\nRequirements that no catalogue has.\n\n| id | rule |\n|---|---|\n")
	for _, r := range rules {
		for _, id := range r.IDs {
			if own, ok := strings.CutPrefix(id, Own); ok {
				fmt.Fprintf(&out, "| %s | `%s` |\n", own, r.Name)
			}
		}
	}
	return out.String()
}

// coverage returns the rules that cover a row, or the reason for having none.
func coverage(row Row, rules []*rule.Rule, claims Claims) string {
	var names []string
	for _, r := range rules {
		if slices.Contains(claims[row.ID], r.Name) {
			names = append(names, "`"+r.Name+"`")
		}
	}
	if len(names) == 0 {
		return row.Reason
	}
	return strings.Join(names, ", ")
}

// cell escapes a text for a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "\n", " ").Replace(text)
}

// The marks around the generated part of docs/policies.md.
const (
	begin = "<!-- policies: begin -->"
	end   = "<!-- policies: end -->"
)

// Replace replaces the generated part of a document.
func Replace(document, generated string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the document does not contain the marks %s and %s", begin, end)
	}
	return before + begin + "\n\n" + generated + "\n" + end + after, nil
}
