package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"
)

const (
	tempSuffix = ".composure-new"
	keptSuffix = ".composure-old"
)

// TempName is what a replacement is called until it has proved itself.
func TempName(name string) string { return name + tempSuffix }

// KeptName is what the replaced container is called until the transaction ends.
func KeptName(name string) string { return name + keptSuffix }

// Replacement is a container and what its successor shall have instead.
type Replacement struct {
	Old Container
	// Image is the image that Old was created from, looked up by id.
	Image Image
	// Env is the whole new Config.Env, the image's entries included: one that is left out would come back from the image.
	Env []string
	// ConfigHash is the new config-hash label; "" keeps the old one.
	ConfigHash  string
	Transaction string
	// References are the containers that were replaced before: full id to full id of the replacement. They are followed where Old
	// shares another container's namespaces or volumes.
	References map[string]string
	// Injected are absolute paths of files that docker compose has copied into Old: they are copied on.
	Injected []string
	// MayInject are further ones that Old may lack: docker compose copies no empty file.
	MayInject []string
	// StartFirst starts the replacement before Old is stopped.
	StartFirst bool
}

// Clone is the container that equals r.Old but for its environment, its labels, its temporary name and what r.References says, as
// the given API version takes it. sources are the containers of its volumes_from. It is for containers that [Supported] lets
// through, and shares no memory with r.
func Clone(r Replacement, api string, sources ...Container) (Spec, error) {
	if r.Old.Config == nil || r.Old.HostConfig == nil {
		return Spec{}, fmt.Errorf("clone container %q: the engine told too little about it", r.Old.CleanName())
	}
	old, err := deepCopy(r.Old.InspectResponse)
	if err != nil {
		return Spec{}, fmt.Errorf("clone container %q: %w", r.Old.CleanName(), err)
	}
	if err := checkEnv(r.Env); err != nil {
		return Spec{}, fmt.Errorf("clone container %q: %w", r.Old.CleanName(), err)
	}
	spec := Spec{Name: TempName(r.Old.CleanName()), Config: old.Config, Host: old.HostConfig}
	cloneConfig(spec.Config, r)
	cloneHost(spec.Host, r, sources)
	if err := cloneNetworks(&spec, r.Old, api); err != nil {
		return Spec{}, fmt.Errorf("clone container %q: %w", r.Old.CleanName(), err)
	}
	return spec, nil
}

// checkEnv refuses what the engine would refuse with a message that repeats the value.
func checkEnv(entries []string) error {
	for i, entry := range entries {
		if name, _, _ := strings.Cut(entry, "="); name == "" {
			return fmt.Errorf("entry %d of the environment has no name", i+1)
		}
	}
	return nil
}

func cloneConfig(config *container.Config, r Replacement) {
	config.Image = pinnedImage(r)
	config.Env = slices.Clone(r.Env)
	config.Labels = cloneLabels(r)
	if len(config.Entrypoint) == 0 {
		// null would bring the image's entrypoint back.
		config.Entrypoint = []string{}
	}
	if config.Hostname == ShortID(r.Old.ID) || r.Old.HostConfig.UTSMode.IsHost() {
		// The engine's own default: the first would freeze the old id, the second is refused together with the host's UTS.
		config.Hostname = ""
	}
	if r.Old.HostConfig.UTSMode.IsHost() {
		config.Domainname = ""
	}
	if r.Old.HostConfig.NetworkMode.IsContainer() {
		// The engine refuses these together with another container's network. Inspect shows that container's names, and the
		// ports of the image, which come back by themselves.
		config.Hostname, config.Domainname, config.ExposedPorts = "", "", nil
	}
}

// pinnedImage keeps the name only while it still means the image that the old container runs.
func pinnedImage(r Replacement) string {
	name := r.Old.Config.Image
	wanted, err := familiarName(name)
	if err != nil {
		return r.Old.Image
	}
	for _, candidate := range r.Image.Names {
		if found, err := familiarName(candidate); err == nil && found == wanted {
			return name
		}
	}
	return r.Old.Image
}

// familiarName makes nginx and docker.io/library/nginx:latest the same.
func familiarName(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	return reference.FamiliarString(reference.TagNameOnly(named)), nil
}

func cloneLabels(r Replacement) map[string]string {
	labels := maps.Clone(r.Old.Config.Labels)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[LabelTransaction] = r.Transaction
	labels[LabelReplaces] = r.Old.ID
	labels[LabelRestart] = policyFlag(r.Old.HostConfig.RestartPolicy)
	if r.ConfigHash != "" {
		labels[LabelConfigHash] = r.ConfigHash
	}
	return labels
}

func cloneHost(host *container.HostConfig, r Replacement, sources []Container) {
	shareNamespaces(host, r)
	host.Links = ownLinks(host.Links)
	if host.NetworkMode.IsContainer() {
		host.PortBindings = nil
	}
	// Sending the engine's own lists would freeze them; an explicit empty list means unconfined and stays.
	if len(host.MaskedPaths) > 0 {
		host.MaskedPaths = nil
	}
	if len(host.ReadonlyPaths) > 0 {
		host.ReadonlyPaths = nil
	}
	host.Mounts = pinVolumes(host, r.Old.Mounts, sources)
}

// pinVolumes gives the new container the old one's anonymous volumes by name: it would get empty ones otherwise. Those of the
// sources are not its own.
func pinVolumes(host *container.HostConfig, mounted []container.MountPoint, sources []Container) []mount.Mount {
	volumes := make(map[string]string)
	for _, point := range mounted {
		if point.Type == mount.TypeVolume {
			volumes[point.Destination] = point.Name
		}
	}
	mounts := slices.Clone(host.Mounts)
	for i := range mounts {
		if name, found := volumes[mounts[i].Target]; found && mounts[i].Type == mount.TypeVolume && mounts[i].Source == "" {
			mounts[i].Source = name
		}
	}
	declared := declaredTargets(host)
	for _, source := range sources {
		for _, point := range source.Mounts {
			declared[point.Destination] = true
		}
	}
	for _, destination := range slices.Sorted(maps.Keys(volumes)) {
		if !declared[destination] {
			mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: volumes[destination], Target: destination})
		}
	}
	return mounts
}

// declaredTargets are the mount points that the host configuration names itself; the rest come from VOLUME in the image.
func declaredTargets(host *container.HostConfig) map[string]bool {
	declared := make(map[string]bool)
	for _, bind := range host.Binds {
		declared[bindTarget(bind)] = true
	}
	for _, each := range host.Mounts {
		declared[each.Target] = true
	}
	return declared
}

// bindTarget is DESTINATION of SOURCE:DESTINATION[:OPTIONS], or of a lone DESTINATION.
func bindTarget(bind string) string {
	parts := strings.Split(bind, ":")
	if len(parts) == 1 {
		return parts[0]
	}
	return parts[1]
}

// cloneNetworks attaches the new container to the old one's networks: all at create, or below API 1.44, which takes only one,
// the one that the network mode names.
func cloneNetworks(spec *Spec, old Container, api string) error {
	mac, legacy := desiredMAC(old), versions.LessThan(api, endpointMACVersion)
	if legacy {
		spec.MACAddress = mac
	}
	if old.NetworkSettings == nil || !hasEndpoints(old.HostConfig.NetworkMode) {
		return nil
	}
	primary := primaryNetwork(old)
	endpoints := make(map[string]*network.EndpointSettings)
	for name, settings := range old.NetworkSettings.Networks {
		endpoints[name] = cloneEndpoint(settings, old.ID)
	}
	if legacy {
		spec.Connect = maps.Clone(endpoints)
		delete(spec.Connect, primary)
		maps.DeleteFunc(endpoints, func(name string, _ *network.EndpointSettings) bool { return name != primary })
	}
	if mac != "" && !legacy && endpoints[primary] != nil {
		address, err := net.ParseMAC(mac)
		if err != nil {
			return fmt.Errorf("parse MAC address: %w", err)
		}
		endpoints[primary].MacAddress = network.HardwareAddr(address)
	}
	spec.Network = &network.NetworkingConfig{EndpointsConfig: endpoints}
	return nil
}

func hasEndpoints(mode container.NetworkMode) bool {
	return !mode.IsHost() && !mode.IsNone() && !mode.IsContainer()
}

// primaryNetwork is the name of the network that the network mode means; a mode may hold a name, an id or "default".
func primaryNetwork(c Container) string {
	mode := c.HostConfig.NetworkMode.NetworkName()
	if mode == "" || c.HostConfig.NetworkMode.IsDefault() {
		return network.NetworkBridge
	}
	for name, settings := range c.NetworkSettings.Networks {
		if settings != nil && settings.NetworkID != "" && settings.NetworkID == mode {
			return name
		}
	}
	return mode
}

// cloneEndpoint keeps what was asked for. Addresses, ids and the MAC address were given by the engine, and so was the short id
// among the aliases.
func cloneEndpoint(settings *network.EndpointSettings, id string) *network.EndpointSettings {
	if settings == nil {
		return &network.EndpointSettings{}
	}
	return &network.EndpointSettings{
		IPAMConfig: settings.IPAMConfig.Copy(),
		Links:      slices.Clone(settings.Links),
		Aliases:    ownAliases(settings.Aliases, id),
		DriverOpts: maps.Clone(settings.DriverOpts),
		GwPriority: settings.GwPriority,
	}
}

// ownAliases drops duplicates and the short id, and keeps the order.
func ownAliases(aliases []string, id string) []string {
	var own []string
	for _, alias := range aliases {
		if alias != ShortID(id) && !slices.Contains(own, alias) {
			own = append(own, alias)
		}
	}
	return own
}

func deepCopy[T any](value T) (copied T, err error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return copied, err
	}
	return copied, json.Unmarshal(encoded, &copied)
}
