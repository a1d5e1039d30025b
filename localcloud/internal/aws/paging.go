package aws

import (
	"encoding/base64"
	"slices"

	"dbtier/localcloud/internal/aws/wire"
)

// paging says how a service pages: the name of its limit, and the codes of a limit and of a token that are invalid.
type paging struct{ limit, invalidLimit, invalidToken string }

var (
	secretsPaging = paging{"MaxResults", codeInvalidParam, "InvalidNextTokenException"}
	kmsPaging     = paging{"Limit", "ValidationException", "InvalidMarkerException"}
	iamPaging     = paging{"MaxItems", codeValidation, codeValidation}
	rdsPaging     = paging{"MaxRecords", codeInvalidValue, codeInvalidValue}
)

// paginate cuts a page out of a list. The token names the last element of the page, so it stays valid when the list
// changes.
func paginate[T any](
	by paging, all []T, limit, most int, token string, id func(T) string,
) (page []T, next string, err error) {
	if limit == 0 {
		limit = most
	}
	if limit < 1 || limit > most {
		return nil, "", wire.Errorf(by.invalidLimit, "%s: %d: must be between 1 and %d", by.limit, limit, most)
	}
	start := 0
	if token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		at := slices.IndexFunc(all, func(t T) bool { return id(t) == string(last) })
		if err != nil || at < 0 {
			return nil, "", wire.Errorf(by.invalidToken, "The token of the next page is invalid.")
		}
		start = at + 1
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(id(all[end-1])))
	}
	return all[start:end], next, nil
}
