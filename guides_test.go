package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/policy/ruletest"
)

var (
	// step begins a list item or a row of a table in a guide.
	step = regexp.MustCompile(`(?m)^(?:\d+\. |- |\| )`)
	// settingInText is a setting in the text of a guide: `dbtier:database.deletionProtection: false`.
	settingInText = regexp.MustCompile("`(?:dbtier:)?([a-z][A-Za-z]*(?:\\.[A-Za-z]+)*): ([^`]+)`")
	block         = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")
	placeholder   = regexp.MustCompile(`<[^>]*>`)
)

// guide is a page of docs/how-to.
type guide struct {
	// section is that of settings which are named without one.
	section string
	// policies is the policy config that the page says to use.
	policies map[string]map[string]any
	// steps are the settings that each step changes, by path.
	steps []map[string]any
}

// readGuide returns the steps that change the config.
func readGuide(t *testing.T, file string, isSetting func(path string) bool) guide {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	page := guide{policies: map[string]map[string]any{}}
	if strings.Contains(string(text), "below `dbtier:database` unless another section is named") {
		page.section = "database"
	}
	for _, paragraph := range strings.Split(step.ReplaceAllString(string(text), "\n\n$0"), "\n\n") {
		changes := map[string]any{}
		for _, found := range settingInText.FindAllStringSubmatch(block.ReplaceAllString(paragraph, ""), -1) {
			path := found[1]
			if !isSetting(path) {
				path = page.section + "." + path
			}
			if isSetting(path) {
				var value any
				require.NoError(t, yaml.Unmarshal([]byte(placeholder.ReplaceAllString(found[2], "monitoring")), &value))
				changes[path] = value
			}
		}
		if len(changes) > 0 {
			page.steps = append(page.steps, changes)
		}
	}
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		// A block in a list is indented by it.
		body := found[2]
		switch found[1] {
		case "yaml":
			changes := map[string]any{}
			var sections map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(body), &sections), "%s: %s", file, body)
			for key, section := range sections {
				path, ofStack := strings.CutPrefix(key, "dbtier:")
				if ofStack {
					changes[path] = section
				} else {
					// A part of an object of Kubernetes is not of the stack's file.
					require.False(t, isSetting(key), "%s: %s lacks dbtier:", file, key)
				}
			}
			if len(changes) > 0 {
				page.steps = append(page.steps, changes)
			}
		case "json":
			require.NoError(t, json.Unmarshal([]byte(body), &page.policies), "%s: %s", file, body)
		}
	}
	return page
}

// TestEachStepOfTheGuidesThatChangesTheConfigIsAccepted judges production with what the guides for operators say to
// set, with every policy and the exceptions that the page says to write.
func TestEachStepOfTheGuidesThatChangesTheConfigIsAccepted(t *testing.T) {
	t.Parallel()
	settings := settingsOf(t)
	isSetting := func(path string) bool {
		for _, s := range settings {
			if s.path == path || strings.HasPrefix(s.path, path+".") || strings.HasPrefix(s.path, path+"[]") {
				return true
			}
		}
		return false
	}
	files, err := filepath.Glob(filepath.Join("docs", "how-to", "*.md"))
	require.NoError(t, err)
	steps := 0
	for _, file := range files {
		page := readGuide(t, file, isSetting)
		for _, changes := range page.steps {
			steps++
			tr := newTrial(t, "prod", settings)
			tr.policies = page.policies
			if changes["pool.kind"] == "rdsProxy" {
				// The settings of the other kind of pool must go.
				behindProxy(tr.tree)
			}
			for path, value := range changes {
				keys := strings.Split("dbtier:"+path, ".")
				tr.set(value, keys)
			}
			for _, update := range []bool{false, true} {
				_, faults := tr.parse(t)
				require.Empty(t, faults, "%s: %v", file, changes)
				for key, stops := range tr.deploy(t, update).mandatory {
					assert.False(t, stops, "%s: %v: %s", file, changes, key)
				}
			}
		}
	}
	assert.GreaterOrEqual(t, steps, 15, "the guides have steps that change the config")
}

// set sets a value at a path of keys. Objects keep the keys that the value does not have.
func (tr *trial) set(value any, keys []string) {
	if object, ok := value.(map[string]any); ok {
		for key, inner := range object {
			tr.set(inner, append(keys[:len(keys):len(keys)], key))
		}
		return
	}
	path := make([]any, len(keys))
	for i, key := range keys {
		path[i] = key
	}
	tr.tree = ruletest.Set(value, path...).On(&ruletest.Resource{Inputs: tr.tree}).Inputs
}
