package findings

import (
	"encoding/xml"
	"slices"
	"strings"
)

type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Failure *failure `xml:"failure,omitempty"`
		// Output has the findings that do not stop a run.
		Output string `xml:"system-out,omitempty"`
	}
	failure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit returns the sets as test suites. A finding that stops the run is a failed test. The other findings of a rule
// are the output of a test that passed, and a rule without findings is a test that passed. If the run failed before the
// policies were checked, that is the only test, and it failed.
func JUnit(sets ...Set) ([]byte, error) {
	var all suites
	for i := range sets {
		s := sets[i].junit()
		all.Tests, all.Failures = all.Tests+s.Tests, all.Failures+s.Failures
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

func (s *Set) junit() suite {
	of := suite{Name: s.Suite}
	if len(s.Faults) > 0 {
		failed := failure{Message: s.Faults[0], Type: "failed", Text: strings.Join(s.Faults, "\n")}
		of.Cases = []testCase{{Name: "the policies are checked", Class: s.Suite, Failure: &failed}}
		of.Tests, of.Failures = 1, 1
		return of
	}
	byRule := map[string][]Finding{}
	var names []string
	for _, r := range s.Rules {
		names = append(names, r.Name)
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		byRule[f.Rule] = append(byRule[f.Rule], *f)
		// A rule of another pack.
		if !slices.Contains(names, f.Rule) {
			names = append(names, f.Rule)
		}
	}
	for _, name := range names {
		passed := testCase{Name: name, Class: s.Suite}
		failed := false
		for i := range byRule[name] {
			f := &byRule[name][i]
			if !f.Stops {
				passed.Output += f.name() + ": " + f.Message + "\n"
				continue
			}
			failed = true
			of.Failures++
			of.Cases = append(of.Cases, testCase{
				Name: name + ": " + f.name(), Class: s.Suite,
				Failure: &failure{Message: f.title(), Type: name, Text: f.URN + "\n" + f.Message},
			})
		}
		if !failed || passed.Output != "" {
			of.Cases = append(of.Cases, passed)
		}
	}
	of.Tests = len(of.Cases)
	return of
}
