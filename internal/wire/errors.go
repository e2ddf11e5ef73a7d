package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.lsp.dev/jsonrpc2"
)

// The codes in use: JSON-RPC 2.0 section 5.1 and LSP 3.18 "Error codes".
const (
	ParseError           = -32700
	InvalidRequest       = -32600
	MethodNotFound       = -32601
	InvalidParams        = -32602
	InternalError        = -32603
	ServerNotInitialized = -32002
	RequestFailed        = -32803
	ServerCancelled      = -32802
	ContentModified      = -32801
	RequestCancelled     = -32800
)

// ErrClosed is what Call, Notify, Stream and Flush return once the connection has ended.
var ErrClosed = errors.New("the connection to the peer has ended")

// Error is a JSON-RPC error as it goes over the wire. A Handler returns one to choose the
// code; Conn.Call returns one when the peer did.
type Error struct {
	Code    int
	Message string
	// Data is encoded like a result when sent. Received, it is a json.RawMessage or nil.
	Data any
}

// Error returns the message alone: it is what a person reads.
func (e *Error) Error() string { return e.Message }

// Errorf builds an Error with a formatted message.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the answer to a call of a method that nobody serves.
func NotFound(method string) *Error {
	return Errorf(MethodNotFound, "method %q is not known here", clip(method, 200))
}

// asError gives any error a code. An *Error anywhere in the chain keeps its code and data
// under the outer message, so that wrapping adds words and loses nothing.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Code: e.Code, Message: err.Error(), Data: e.Data}
	}
	if errors.Is(err, context.Canceled) {
		return Errorf(RequestCancelled, "the request was cancelled")
	}
	return &Error{Code: InternalError, Message: err.Error()}
}

// toWire encodes e for jsonrpc2; data that cannot be encoded is left out, and the message
// says so, because an answer must go out in any case.
func (e *Error) toWire(marshal func(any) ([]byte, error)) *jsonrpc2.Error {
	out := &jsonrpc2.Error{Code: jsonrpc2.Code(e.Code), Message: validText(e.Message)}
	if e.Data == nil {
		return out
	}
	data, err := encode(marshal, e.Data)
	if err != nil {
		out.Message += fmt.Sprintf(" (details could not be encoded: %v)", err)
		return out
	}
	out.Data = data
	return out
}

func fromWire(err error) error {
	e, ok := errors.AsType[*jsonrpc2.Error](err)
	if !ok {
		return err
	}
	out := &Error{Code: int(e.Code), Message: e.Message}
	if e.Data != nil {
		out.Data = json.RawMessage(e.Data)
	}
	return out
}
