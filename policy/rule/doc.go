// Package rule defines what a rule of the policy pack is, and how a rule reads resources.
//
// A [Rule] is data (name, reason, fix, severity, the ids of public catalogues that it covers) and one function.
// [Rule.Judge] runs that function on resources and returns its findings. It is the only way in which a rule judges: the
// engine's server (package analyzer) and `dbtier policy check` (package state) both call it through package pack.
//
// A rule reads a resource through [Value]. A value is missing, known, secret or unknown. Reading an unknown value adds
// an [Unknown] finding, so a rule cannot treat the value as a violation or as a pass. After a rule has read a secret,
// its messages show [Secret] instead of values.
package rule
