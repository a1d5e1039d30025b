package wire

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
)

// Error is a refused request, with AWS's code for it. The client gets the message, so it must not contain a secret.
type Error struct {
	Status  int // HTTP status
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf returns an error that is the caller's fault (HTTP 400).
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Status returns an error with the given HTTP status.
func Status(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeNotModelled is the code for what AWS can do and the stand-in cannot. SDKs do not retry its status, 501.
const CodeNotModelled = "NotImplemented"

// NotModelled returns the error for something that the stand-in does not model.
func NotModelled(format string, args ...any) *Error {
	return Status(http.StatusNotImplemented, CodeNotModelled, "the local AWS stand-in does not model "+format, args...)
}

// jsonCodes maps the authentication layer's codes to the names that JSON services have for them.
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
		status = http.StatusBadRequest // JSON services use 400 here
	}
	// Services differ in the case of "message", and clients accept both.
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

// WriteEC2Error answers a request with an error in the shape that only EC2 uses.
func WriteEC2Error(w http.ResponseWriter, e *Error, requestID string) {
	var out ec2Error
	out.Errors.Error.Code, out.Errors.Error.Message, out.RequestID = e.Code, e.Message, requestID
	writeXML(w, e.Status, out, requestID)
}

// queryResponse wraps a result in <XResponse><XResult>…</XResult><ResponseMetadata>.
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

// WriteQuery answers a query request. If result is nil, the answer has no result element, as for actions that return
// nothing.
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
