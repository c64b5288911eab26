package engine

// Endpoints are the requests of the Engine API that a [Client] makes, sorted, without the version in front. A proxy before the
// engine's socket has to let them through; the ones that a [Reader] makes begin with GET or HEAD.
func Endpoints() []string {
	return []string{
		"DELETE /containers/{id}",
		"GET /containers/json",
		"GET /containers/{id}/json",
		"GET /containers/{id}/logs",
		"GET /images/{name}/json",
		"GET /version",
		"HEAD /_ping",
		"POST /containers/create",
		"POST /containers/{id}/attach",
		"POST /containers/{id}/rename",
		"POST /containers/{id}/start",
		"POST /containers/{id}/stop",
		"POST /containers/{id}/update",
		"POST /containers/{id}/wait",
		"POST /images/create",
		"POST /networks/{id}/connect",
	}
}
