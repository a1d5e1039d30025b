// Package ruletest runs rules in tests as the engine does: through the analyzer and its encoding. The resources are
// those of the test, or come from the golden files, which contain what the components of this project create.
package ruletest
