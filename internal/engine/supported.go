package engine

import (
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"
)

// Labels that other managers put on containers they would recreate themselves.
const (
	labelSwarmTask    = "com.docker.swarm.task.id"
	labelSwarmService = "com.docker.swarm.service.id"
)

// endpointMACVersion is the API that takes a MAC address, and more than one network, in an endpoint at create.
const endpointMACVersion = "1.44"

// Supported says why a container cannot be swapped, or "" when it can. It judges by the container alone: what only the project
// tells (injected files, hooks, replicas) is not its matter.
func Supported(c Container, info Info) string {
	if c.Config == nil || c.HostConfig == nil || c.State == nil {
		return "the engine told too little about it"
	}
	for _, judge := range []func(Container, Info) string{
		supportedEngine, supportedOwner, supportedState,
	} {
		if reason := judge(c, info); reason != "" {
			return reason
		}
	}
	return ""
}

func supportedEngine(_ Container, info Info) string {
	switch {
	case info.Podman:
		return "Podman is not supported yet"
	case info.OSType != "" && info.OSType != "linux":
		return "an engine for " + info.OSType + " containers is not supported yet"
	}
	return ""
}

func supportedOwner(c Container, _ Info) string {
	version := c.Label(LabelVersion)
	switch {
	case c.Label(LabelRole) != "":
		return "it belongs to Composure itself"
	case c.Label(labelSwarmTask) != "" || c.Label(labelSwarmService) != "":
		return "a Swarm task is not supported yet"
	case c.Label(LabelHook) != "" || c.Label(LabelRelay) != "":
		return "it is a helper that docker compose runs for another container"
	case strings.EqualFold(c.Label(LabelOneoff), "true"):
		return "it is a one-off container of docker compose run"
	case c.Label(LabelConfigHash) == "":
		return "it was not started by docker compose"
	case version == "" || strings.HasPrefix(version, "1."):
		return "docker-compose 1 is not supported yet"
	case c.HostConfig.AutoRemove:
		return "it is removed when it stops, so it could not be put back"
	}
	return ""
}

// supportedState lets a crash loop through: it may be for want of the very variable.
func supportedState(c Container, _ Info) string {
	switch {
	case c.State.Paused:
		return "it is paused"
	case !c.State.Running:
		return "it is not running"
	}
	return ""
}

// MACHeld says why a container cannot be given the MAC addresses again that its files ask for, or "". Inspect does not tell one that
// was asked for from a generated one, but for that of the first network, and since API 1.52 not even that. Below 1.44 there is no
// other: docker compose refuses two, and leaves out that of a further network itself. But a container that has one was made by a
// newer API of the same engine (DOCKER_API_VERSION).
func MACHeld(c Container, wanted []string, info Info) string {
	told, older := desiredMAC(c), versions.LessThan(info.APIVersion, endpointMACVersion)
	for _, address := range wanted {
		if !sameMAC(address, told) && (!older || hasMAC(c, address)) {
			return "MAC address " + address + ", which the engine does not tell from a generated one, is not supported yet"
		}
	}
	return ""
}

func hasMAC(c Container, address string) bool {
	if c.NetworkSettings == nil {
		return false
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(c.NetworkSettings.Networks)), func(settings *network.EndpointSettings) bool {
		return settings != nil && sameMAC(settings.MacAddress.String(), address)
	})
}

func sameMAC(a, b string) bool {
	parsedA, errA := net.ParseMAC(a)
	parsedB, errB := net.ParseMAC(b)
	return errA == nil && errB == nil && parsedA.String() == parsedB.String()
}

// desiredMAC is the MAC address that was asked for; an endpoint's own may be generated. InspectResponse has no field for it.
func desiredMAC(c Container) string {
	var raw struct {
		Config struct{ MacAddress string }
	}
	if json.Unmarshal(c.Raw, &raw) != nil {
		return ""
	}
	return raw.Config.MacAddress
}
