// Package iampolicy builds IAM policy documents from types instead of strings.
//
// It covers the part of the IAM user guide's "Grammar of the IAM JSON policy language" that this project needs.
package iampolicy
