package main

// The container image has no certificate authorities: this brings those of Mozilla, for a system that has none of its own.
import _ "golang.org/x/crypto/x509roots/fallback"
