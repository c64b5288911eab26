package redisurl

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Cause says in a few words why a call of a client failed. They are words of its own, with an address or a host's name at most: a
// library may quote what it was given, and a server what it was sent, passwords included.
func Cause(err error) string {
	if reply, replied := errors.AsType[redis.Error](err); replied {
		return refusal(reply.Error())
	}
	if lookup, failed := errors.AsType[*net.DNSError](err); failed && !lookup.IsTimeout {
		return "no such host " + lookup.Name
	}
	network, failed := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout), failed && network.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF):
		return "it closed the connection"
	case isTLS(err):
		return "no TLS there, or its certificate is not trusted"
	}
	if operation, failed := errors.AsType[*net.OpError](err); failed {
		return operation.Error()
	}
	return "it does not answer as Redis does"
}

func isTLS(err error) bool {
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return plain || alert || distrusted
}

// refusal goes by the first word of what a Redis replied: the rest of an ERR may repeat the command.
func refusal(reply string) string {
	code, text, _ := strings.Cut(reply, " ")
	switch {
	case code == "WRONGPASS":
		return "wrong user or password"
	case code == "NOAUTH":
		return "it wants a password"
	case code == "NOPERM":
		return "the user lacks a permission"
	case code == "ERR" && strings.Contains(text, "password"):
		return "wrong password, or it has none"
	case code == "ERR" || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "it refuses the command"
	}
	return "it refuses: " + code
}
