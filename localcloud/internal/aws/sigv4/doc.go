// Package sigv4 verifies AWS Signature Version 4 on incoming requests, in the Authorization header and in the presigned
// query form, as an AWS endpoint does: the canonical request is built from what arrived, the payload is hashed, the
// clock may be off by five minutes.
//
// Signature Version 4A, chunked uploads and unsigned payloads belong to services that the stand-in does not model and
// are refused.
package sigv4
