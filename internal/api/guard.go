package api

import (
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Guard says who may ask.
type Guard struct {
	// Token has to come with every request, as "Authorization: Bearer TOKEN". Empty: whoever reaches the address may ask.
	Token string
	// Public are the paths that are answered without it.
	Public []string
	// Names says that a request has to name this machine by its loopback address, and come from no page: a browser may be led to ask.
	// It is for an address on loopback that has no token; a unix socket is not reached by browsers.
	Names bool
}

// Protect lets through who may ask.
func (g Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.Names && (r.Header.Get("Origin") != "" || r.Host != "" && !Loopback(r.Host)):
			http.Error(w, "ask by the address that it listens on", http.StatusForbidden)
		case g.Token != "" && !slices.Contains(g.Public, r.URL.Path) && !g.knows(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a token is needed: see --token-file", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (g Guard) knows(r *http.Request) bool {
	token, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return is && subtle.ConstantTimeCompare([]byte(token), []byte(g.Token)) == 1
}

// Loopback reports whether an address, HOST or HOST:PORT, is one that only this machine reaches.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
