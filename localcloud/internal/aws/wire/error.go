package wire

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
)

// Error is a refusal with AWS's code for it. Its message goes to the client, so it must hold no secret.
type Error struct {
	Status  int // HTTP
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes a refusal that is the caller's fault (HTTP 400).
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Status makes a refusal with its own HTTP status.
func Status(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeNotModelled marks what AWS can do and the stand-in cannot. The status 501 keeps SDKs from trying again.
const CodeNotModelled = "NotImplemented"

// NotModelled refuses something that the stand-in does not model.
func NotModelled(format string, args ...any) *Error {
	return Status(http.StatusNotImplemented, CodeNotModelled, "the local AWS stand-in does not model "+format, args...)
}

// jsonCodes are the names that JSON services have for refusals of the authentication layer.
var jsonCodes = map[string]string{
	"SignatureDoesNotMatch":      "InvalidSignatureException",
	"InvalidClientTokenId":       "UnrecognizedClientException",
	"ExpiredToken":               "ExpiredTokenException",
	"MissingAuthenticationToken": "MissingAuthenticationTokenException",
	"IncompleteSignature":        "IncompleteSignatureException",
	"AccessDenied":               "AccessDeniedException",
	"InternalFailure":            "InternalServiceError",
}

const requestIDHeader = "X-Amzn-Requestid"

// WriteJSONError answers a JSON 1.1 request with an error.
func WriteJSONError(w http.ResponseWriter, e *Error, requestID string) {
	code := e.Code
	if c, ok := jsonCodes[code]; ok {
		code = c
	}
	status := e.Status
	if status == http.StatusForbidden {
		status = http.StatusBadRequest // JSON services use 400 for these
	}
	// Services differ in the case of this member; clients accept both.
	WriteJSON(w, status, map[string]string{"__type": code, "message": e.Message, "Message": e.Message}, requestID)
}

// WriteJSON answers a JSON 1.1 request.
func WriteJSON(w http.ResponseWriter, status int, body any, requestID string) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"__type":"InternalServiceError"}`)
	}
	respond(w, status, "application/x-amz-json-1.1", text, requestID)
}

type queryError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	NS      string   `xml:"xmlns,attr,omitempty"`
	Error   struct {
		Type    string
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

// WriteQueryError answers a query request with an error.
func WriteQueryError(w http.ResponseWriter, e *Error, namespace, requestID string) {
	out := queryError{NS: namespace, RequestID: requestID}
	out.Error.Type, out.Error.Code, out.Error.Message = "Sender", e.Code, e.Message
	if e.Status >= http.StatusInternalServerError {
		out.Error.Type = "Receiver"
	}
	writeXML(w, e.Status, out, requestID)
}

type ec2Error struct {
	XMLName xml.Name `xml:"Response"`
	Errors  struct {
		Error struct{ Code, Message string }
	}
	RequestID string
}

// WriteEC2Error answers in the shape of EC2, which has its own.
func WriteEC2Error(w http.ResponseWriter, e *Error, requestID string) {
	var out ec2Error
	out.Errors.Error.Code, out.Errors.Error.Message, out.RequestID = e.Code, e.Message, requestID
	writeXML(w, e.Status, out, requestID)
}

// queryResponse wraps a result as <XResponse><XResult>…</XResult><ResponseMetadata>.
type queryResponse struct {
	action, namespace, requestID string
	result                       any
}

func (q queryResponse) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	root := xml.StartElement{
		Name: xml.Name{Local: q.action + "Response"},
		Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: q.namespace}},
	}
	if err := e.EncodeToken(root); err != nil {
		return err
	}
	if q.result != nil {
		if err := e.EncodeElement(q.result, xml.StartElement{Name: xml.Name{Local: q.action + "Result"}}); err != nil {
			return err
		}
	}
	meta := struct {
		RequestID string `xml:"RequestId"`
	}{q.requestID}
	if err := e.EncodeElement(meta, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}); err != nil {
		return err
	}
	return e.EncodeToken(root.End())
}

// WriteQuery answers a query request. A nil result leaves the result element out, as for actions that return nothing.
func WriteQuery(w http.ResponseWriter, action, namespace string, result any, requestID string) {
	writeXML(w, http.StatusOK, queryResponse{action, namespace, requestID, result}, requestID)
}

func writeXML(w http.ResponseWriter, status int, body any, requestID string) {
	text, err := xml.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError,
			[]byte("<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>")
	}
	respond(w, status, "text/xml", text, requestID)
}
