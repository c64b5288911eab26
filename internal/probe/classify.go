package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
)

func failed(result Result, class Class, message string) Result {
	result.Class = class
	result.Error = string(class) + ": " + message
	return result
}

// classify puts what kept an answer from coming in words of the probe's own: a library's text may quote what it was given. Class is
// empty for what is not about the network.
func classify(err error) (Class, string) {
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && !lookup.IsTimeout {
		return ClassResolve, "no such host " + lookup.Name
	}
	if isTLS(err) {
		return ClassTLS, "no TLS there, or its certificate is not trusted"
	}
	if network, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || (ok && network.Timeout()) {
		return ClassTimeout, "no answer within " + Timeout.String()
	}
	if errors.Is(err, io.EOF) {
		return ClassConnect, "the server closed the connection"
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return ClassConnect, connectMessage(network)
	}
	return "", ""
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok || errors.Is(err, http.ErrSchemeMismatch)
}

func connectMessage(err *net.OpError) string {
	cause := err.Err.Error()
	if inner := errors.Unwrap(err.Err); inner != nil {
		cause = inner.Error()
	}
	if err.Addr == nil {
		return cause
	}
	return err.Addr.String() + ": " + cause
}
