// Package permission describes in types what an identity may do: read these secrets, decrypt with these keys, connect
// as this database user. Each permission lists exact resources and allows no more than its name says. The example of
// [Policy] shows a policy.
//
// [Statement] is for everything else. It refuses wildcards unless they are allowed explicitly.
package permission
