package aws

import (
	"encoding/base64"
	"slices"

	"dbtier/localcloud/internal/aws/wire"
)

// paginate cuts a page out of a list. The token names the last element of the page, so it stays valid when the list
// changes.
func paginate[T any](all []T, limit, most int, token string, id func(T) string) (page []T, next string, err error) {
	if limit == 0 {
		limit = most
	}
	if limit < 1 || limit > most {
		return nil, "", wire.Errorf(codeInvalidParam, "MaxResults: %d: must be between 1 and %d", limit, most)
	}
	start := 0
	if token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		at := slices.IndexFunc(all, func(t T) bool { return id(t) == string(last) })
		if err != nil || at < 0 {
			return nil, "", wire.Errorf("InvalidNextTokenException", "The NextToken value is invalid.")
		}
		start = at + 1
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(id(all[end-1])))
	}
	return all[start:end], next, nil
}
