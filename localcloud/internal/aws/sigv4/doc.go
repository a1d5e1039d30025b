// Package sigv4 verifies AWS Signature Version 4 on incoming requests, in the Authorization header and in the presigned
// query form. Like an AWS endpoint, it builds the canonical request from the request as it arrived, hashes the payload,
// and accepts clocks that are up to five minutes off.
//
// It refuses Signature Version 4A, chunked uploads and unsigned payloads, which belong to services that the stand-in
// does not model.
package sigv4
