// Package iampolicy builds IAM policy documents from types, so that no policy is put together from strings.
//
// The grammar is that of the IAM user guide, "Grammar of the IAM JSON policy language". Only what this project needs is
// here.
package iampolicy
