package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
)

// allowance is one row of the table of what may differ between a container and its proven replacement.
type allowance struct {
	path string // segments parted by /, * for any one of them, a|b for one or the other; it covers everything below
	// cause is why a difference is no change of the container.
	cause string
	// accepts judges the two values; nil accepts any.
	accepts func(p *proof, path []string, old, new any) bool
	// descend goes on comparing below the path when accepts refuses; otherwise a refusal is a difference.
	descend bool
}

// allowances is the whole table: what it does not list must be equal.
func allowances() []allowance {
	const identity, runtime, address = "belongs to one container", "set while it runs", "given by the engine"
	const addresses = "EndpointID|Gateway|GlobalIPv6Address|GlobalIPv6PrefixLen|IPAddress|IPPrefixLen|IPv6Gateway|MacAddress"
	const shared = "the container with which it is shared was replaced"
	return []allowance{
		{path: "Id", cause: identity},
		{path: "Name", cause: identity},
		{path: "Created", cause: identity},
		{path: "LogPath", cause: identity},
		{path: "HostsPath", cause: identity},
		{path: "HostnamePath", cause: identity},
		{path: "ResolvConfPath", cause: identity},
		{path: "GraphDriver/Data", cause: "its own writable layer"},
		{path: "Storage/RootFS/Snapshot/Name", cause: "its own writable layer"},
		{path: "State", cause: runtime},
		{path: "ExecIDs", cause: runtime},
		{path: "RestartCount", cause: runtime},
		{path: "AppArmorProfile", cause: "chosen at start", accepts: laterAtStart},
		{path: "MountLabel", cause: "SELinux gives each container its own categories", accepts: sameSELinuxType},
		{path: "ProcessLabel", cause: "SELinux gives each container its own categories", accepts: sameSELinuxType},

		{path: "Config/Env", cause: "the intended change", accepts: wantedEnv},
		{path: "Config/Labels/" + LabelConfigHash, cause: "the intended change", accepts: wantedConfigHash},
		{path: "Config/Labels/" + LabelTransaction, cause: "Composure's own", accepts: wantedTransaction},
		{path: "Config/Labels/" + LabelReplaces, cause: "Composure's own", accepts: wantedReplaces},
		{path: "Config/Labels/" + LabelRestart, cause: "Composure's own", accepts: wantedRestart},
		{path: "Config/Hostname", cause: "the short id is the default; at start it is that of the container whose network is shared", accepts: defaultHostname},
		{path: "Config/Domainname", cause: "at start it is that of the container whose network is shared", accepts: sharedDomainname},
		{path: "Config/Image", cause: "the name has moved to another image", accepts: imageByID},

		{path: "HostConfig/NetworkMode", cause: shared, accepts: followedMode},
		{path: "HostConfig/PidMode", cause: shared, accepts: followedMode},
		{path: "HostConfig/IpcMode", cause: shared, accepts: followedMode},
		{path: "HostConfig/VolumesFrom", cause: shared, accepts: followedVolumes},
		{path: "HostConfig/Links", cause: "they are shown by the names that both containers have just now", accepts: sameLinks},
		{path: "HostConfig/MaskedPaths", cause: "a newer engine masks more", accepts: moreMasked},
		{path: "HostConfig/ReadonlyPaths", cause: "a newer engine protects more", accepts: moreMasked},
		{path: "HostConfig/CapAdd", cause: "CAP_ may be left out", accepts: sameCapabilities},
		{path: "HostConfig/CapDrop", cause: "CAP_ may be left out", accepts: sameCapabilities},
		{path: "HostConfig/Mounts/*", cause: "an anonymous volume, now by name", accepts: pinnedMount, descend: true},
		{path: "HostConfig/Mounts/*/Source", cause: "an anonymous volume, now by name", accepts: pinnedSource},
		{path: "Mounts/*/Mode", cause: "an anonymous volume, now by name", accepts: pinnedMode},

		{path: "NetworkSettings/Ports", cause: runtime},
		{path: "NetworkSettings/SandboxID", cause: runtime},
		{path: "NetworkSettings/SandboxKey", cause: runtime},
		{path: "NetworkSettings/" + addresses, cause: address, accepts: whileRunning},
		{path: "NetworkSettings/Networks/*/NetworkID", cause: "looked up at start", accepts: laterAtStart},
		{path: "NetworkSettings/Networks/*/" + addresses, cause: address, accepts: whileRunning},
		{path: "NetworkSettings/Networks/*/IPAMConfig/IPv4Address|IPv6Address", cause: "an address can be spelled otherwise", accepts: sameAddress},
		{path: "NetworkSettings/Networks/*/DNSNames", cause: "made of names and aliases at start"},
		{path: "NetworkSettings/Networks/*/Aliases", cause: "the short id is one of them", accepts: sameAliases},
	}
}

func (a allowance) matches(path []string) bool {
	pattern := strings.Split(a.path, "/")
	if len(pattern) != len(path) {
		return false
	}
	for i, segment := range pattern {
		if segment != "*" && !slices.Contains(strings.Split(segment, "|"), path[i]) {
			return false
		}
	}
	return true
}

func laterAtStart(_ *proof, _ []string, old, new any) bool {
	return empty(new) || new == "" || old == new
}

// whileRunning accepts any address of a container that runs. One that has not been started has only what was asked for, which is no
// other than the original's.
func whileRunning(p *proof, path []string, old, new any) bool {
	return up(p.new) || new == json.Number("0") || laterAtStart(p, path, old, new)
}

// sameSELinuxType compares user, role and type; what follows is drawn for each container.
func sameSELinuxType(_ *proof, _ []string, old, new any) bool {
	oldLabel, _ := old.(string)
	newLabel, _ := new.(string)
	oldParts, newParts := strings.Split(oldLabel, ":"), strings.Split(newLabel, ":")
	return slices.Equal(oldParts[:min(3, len(oldParts))], newParts[:min(3, len(newParts))])
}

func wantedEnv(p *proof, _ []string, _, new any) bool {
	return reflect.DeepEqual(entriesByName(p.replacement.Env), entriesByName(stringList(new)))
}

// entriesByName keeps the order of entries of one name, of which one wins; that of the others says nothing.
func entriesByName(env []string) map[string][]string {
	entries := make(map[string][]string)
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if same := entries[name]; len(same) == 0 || same[len(same)-1] != entry {
			entries[name] = append(same, entry)
		}
	}
	return entries
}

func wantedConfigHash(p *proof, _ []string, old, new any) bool {
	if p.replacement.ConfigHash == "" {
		return old == new
	}
	return new == p.replacement.ConfigHash
}

func wantedTransaction(p *proof, _ []string, _, new any) bool {
	return new == p.replacement.Transaction
}

func wantedReplaces(p *proof, _ []string, _, new any) bool { return new == p.old.ID }

func wantedRestart(p *proof, _ []string, _, new any) bool {
	return new == policyFlag(p.old.HostConfig.RestartPolicy)
}

func defaultHostname(p *proof, _ []string, old, new any) bool {
	isDefault := new == ShortID(p.new.ID)
	if old == ShortID(p.old.ID) {
		return isDefault // its own would be that of a container that is gone
	}
	return old == new || isDefault && p.sharesNetwork()
}

// sharedDomainname accepts the loss of what was never the original's own: the engine refuses, or takes away, one of its own.
func sharedDomainname(p *proof, _ []string, old, new any) bool {
	return old == new || new == "" && p.sharesNetwork()
}

func (p *proof) sharesNetwork() bool { return p.old.HostConfig.NetworkMode.IsContainer() }

func followedMode(p *proof, _ []string, old, new any) bool {
	mode, _ := old.(string)
	return new == p.replacement.followMode(mode)
}

func followedVolumes(p *proof, _ []string, old, new any) bool {
	wanted := stringList(old)
	for i, from := range wanted {
		wanted[i] = p.replacement.followVolumes(from)
	}
	return slices.Equal(wanted, stringList(new))
}

func sameLinks(_ *proof, _ []string, old, new any) bool {
	return slices.Equal(sortedSet(ownLinks(stringList(old))), sortedSet(ownLinks(stringList(new))))
}

func imageByID(p *proof, _ []string, old, new any) bool {
	return old == new || new == p.old.Image
}

func moreMasked(_ *proof, _ []string, old, new any) bool {
	oldPaths, newPaths := stringList(old), stringList(new)
	if len(oldPaths) == 0 || len(newPaths) == 0 {
		return len(oldPaths) == len(newPaths)
	}
	return !slices.ContainsFunc(oldPaths, func(path string) bool { return !slices.Contains(newPaths, path) })
}

func sameCapabilities(_ *proof, _ []string, old, new any) bool {
	normalize := func(value any) []string {
		names := stringList(value)
		for i, name := range names {
			names[i] = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		}
		return sortedSet(names)
	}
	return slices.Equal(normalize(old), normalize(new))
}

// pinnedMount accepts an entry that the original lacks when it names the volume that the image's VOLUME gave the original.
func pinnedMount(p *proof, path []string, old, new any) bool {
	target := path[len(path)-1]
	return old == nil && reflectsMount(new, map[string]any{
		"Type": string(mount.TypeVolume), "Source": p.anonymousVolume(target), "Target": target,
	})
}

// reflectsMount reports whether value holds these fields and no other that says anything.
func reflectsMount(value any, fields map[string]any) bool {
	entry, _ := value.(map[string]any)
	entry = maps.Clone(entry)
	for name, want := range fields {
		if want == "" || entry[name] != want {
			return false
		}
		delete(entry, name)
	}
	for _, rest := range entry {
		if !empty(rest) && rest != "" && rest != false {
			return false
		}
	}
	return true
}

func pinnedSource(p *proof, path []string, old, new any) bool {
	return old == new || (old == nil || old == "") && new == p.anonymousVolume(path[2])
}

func pinnedMode(p *proof, path []string, old, new any) bool {
	return old == new || old == "" && new == "z" && p.anonymousVolume(path[1]) != ""
}

// anonymousVolume is the name of the volume that the original has at destination, or "".
func (p *proof) anonymousVolume(destination string) string {
	for _, point := range p.old.Mounts {
		if point.Destination == destination && point.Type == mount.TypeVolume {
			return point.Name
		}
	}
	return ""
}

func sameAddress(_ *proof, _ []string, old, new any) bool {
	oldText, _ := old.(string)
	newText, _ := new.(string)
	oldAddress, oldErr := netip.ParseAddr(oldText)
	newAddress, newErr := netip.ParseAddr(newText)
	return old == new || oldErr == nil && newErr == nil && oldAddress == newAddress
}

func sameAliases(p *proof, _ []string, old, new any) bool {
	own := func(value any, id string) []string { return sortedSet(ownAliases(stringList(value), id)) }
	return slices.Equal(own(old, p.old.ID), own(new, p.new.ID))
}

// stringList is the list's strings; what is no list is taken for a list of one.
func stringList(value any) []string {
	list, isList := value.([]any)
	if !isList && value != nil {
		return []string{fmt.Sprint(value)}
	}
	names := make([]string, 0, len(list))
	for _, element := range list {
		name, _ := element.(string)
		names = append(names, name)
	}
	return names
}

func sortedSet(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
