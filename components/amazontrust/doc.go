// Package amazontrust holds the root certificates of Amazon Trust Services. They verify certificates of AWS Certificate
// Manager, including those of RDS Proxy's endpoints. The roots of RDS (package rdsca) do not verify those.
//
// Most systems trust these roots, but PostgreSQL clients do not use the system's roots by default. libpq does so with
// sslrootcert=system since version 16, other drivers have their own ways, and a small image has no trust store. A file
// with these five roots works for all of them, and trusts no other authority.
//
// The certificates in roots.pem are those of Mozilla's list in the package ca-certificates 20230311 of Debian 12. A
// test compares their SHA-256 fingerprints with those that Amazon Trust Services publishes in its repository. The first
// of them expires in December 2037.
package amazontrust
