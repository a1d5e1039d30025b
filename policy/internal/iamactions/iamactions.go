// Package iamactions has the actions of IAM: what each does to which resources, by AWS's Service Authorization
// Reference. The table is actions.gz; its first line names the source, the version and the date (`zcat actions.gz`).
package iamactions

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"iter"
	"strings"
	"sync"

	"dbtier/policy/internal/iamdoc"
)

//go:generate go run ./gen

//go:embed actions.gz
var packed []byte

// Level is what an action does.
type Level byte

// The access levels of AWS.
const (
	List        Level = 'l'
	Read        Level = 'r'
	Write       Level = 'w'
	Tagging     Level = 't'
	Permissions Level = 'p'
)

// Action is one action of a service.
type Action struct {
	// Name has the service: s3:GetObject.
	Name  string
	Level Level
	// Types are the types of resources that a statement can name for the action, separated by spaces. If it is empty,
	// only * is possible.
	Types string
}

// table returns the lines of each service. It is unpacked on first use, because most stacks have few policies and the
// pack must start fast.
var table = sync.OnceValue(func() map[string]string {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("iamactions: actions.gz is damaged: " + err.Error())
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		panic("iamactions: actions.gz is damaged: " + err.Error())
	}
	services := map[string]string{}
	_, rest, _ := strings.Cut(string(text), "\n:")
	for block := range strings.SplitSeq(rest, "\n:") {
		service, lines, _ := strings.Cut(block, "\n")
		services[service] = lines
	}
	return services
})

// Matching returns the actions that a pattern of a policy matches, such as s3:Get*. As in IAM, case does not matter.
// The order of services is not defined.
func Matching(pattern string) iter.Seq[Action] {
	service, name, found := strings.Cut(strings.ToLower(pattern), ":")
	if !found {
		service, name = "*", "*"
	}
	return func(yield func(Action) bool) {
		if !strings.ContainsAny(service, "*?") {
			matchingOf(service, name, yield)
			return
		}
		for each := range table() {
			if iamdoc.Match(service, each) && !matchingOf(each, name, yield) {
				return
			}
		}
	}
}

// matchingOf yields the actions of one service. It returns false if the iteration is to end.
func matchingOf(service, name string, yield func(Action) bool) bool {
	for line := range strings.Lines(table()[service]) {
		group, actions, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		for action := range strings.SplitSeq(actions, " ") {
			if !iamdoc.Match(name, action) {
				continue
			}
			_, kinds, _ := strings.Cut(group, " ")
			if !yield(Action{service + ":" + action, Level(group[0]), kinds}) {
				return false
			}
		}
	}
	return true
}
