// Command judge judges the exported state on standard input by every rule, all of them mandatory, and prints the rules
// and the findings. Modules whose dependencies this one should not have use it in their tests.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"dbtier/policy/kubernetes"
	"dbtier/policy/registry"
	"dbtier/policy/state"
)

type described struct {
	Name  string   `json:"name"`
	IDs   []string `json:"ids"`
	Types []string `json:"types"`
}

type answer struct {
	// PodSecurityVersion is the version of the Pod Security Standards that the rules follow.
	PodSecurityVersion string        `json:"podSecurityVersion"`
	Rules              []described   `json:"rules"`
	Report             *state.Report `json:"report"`
}

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func judge(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	report, err := state.Judge(registry.Pack(), text, state.Options{Config: []byte(`{"all": "mandatory"}`)})
	if err != nil {
		return fmt.Errorf("judging the state: %w", err)
	}
	told := answer{PodSecurityVersion: kubernetes.PodSecurityVersion, Report: report}
	for _, r := range registry.All() {
		told.Rules = append(told.Rules, described{r.Name, r.IDs, r.Types})
	}
	if err := json.NewEncoder(out).Encode(told); err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	return nil
}
