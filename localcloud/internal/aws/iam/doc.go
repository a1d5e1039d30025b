// Package iam is the policy engine of the local AWS stand-in: it parses policy documents as IAM does, with every fault
// of a document reported at once, and evaluates requests by IAM's documented logic (deny by default, an explicit deny
// wins, an allow must survive the permissions boundary and the session policy, a resource policy may grant or
// delegate).
//
// What it does not model (NotPrincipal, canonical users, BinaryEquals, condition keys that no request here ever
// carries) is refused when the document is parsed. It is never ignored: a condition that is skipped would allow what
// AWS denies.
//
// The logic follows the IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
package iam
