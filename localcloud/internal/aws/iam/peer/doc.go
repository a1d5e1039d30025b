// Package peer compares the policy engine with an independent evaluator of IAM policies, the npm package
// @cloud-copilot/iam-simulate. Its test generates policies and requests and asks both for their verdicts. Each
// disagreement must be a known error of the other side, for which the test names AWS's documentation.
//
// The other evaluator runs as a process of its own. It is installed by npm when the test runs, in the versions of
// testdata/package-lock.json, and is no part of this project or of what it builds.
package peer
