// Package ruletest runs rules as the engine does, through the analyzer and its encoding, on resources that tests write
// down or take from the golden files: what the components of this project make.
package ruletest
