// Package rule says what a rule of the policy pack is, and gives rules their view of resources.
//
// A rule is data (a name, why it matters, how to fix what it finds, how severe it is, which rules of the public
// catalogues it stands for) around one function. Its [Rule.Policies] are policyx policy values, so that another pack
// can take them; the pack of this project serves them by package analyzer.
//
// A rule reads a resource through [Value], which knows four kinds of values: missing, known, secret and unknown.
// Reading an unknown value notes that the rule has to wait for the update, so that no rule can take it for a violation
// or for a pass. Reading a secret one takes every value out of the messages that follow.
package rule
