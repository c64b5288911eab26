package compose

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// rootOrder is the keys of a service in the order in which compose has always hashed them. Keys that are not here follow,
// sorted. Hashing json.Marshal's own order would tie the hash to the order of compose-go's fields, which has changed.
func rootOrder() []string {
	return []string{
		"profiles", "annotations", "attach", "develop", "blkio_config", "cap_add", "cap_drop", "cgroup_parent", "cgroup",
		"cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpus", "cpuset", "cpu_shares",
		"command", "configs", "container_name", "credential_spec", "depends_on", "deploy", "device_cgroup_rules", "devices",
		"dns", "dns_opt", "dns_search", "dockerfile", "domainname", "entrypoint", "provider", "environment", "env_file",
		"expose", "extends", "external_links", "extra_hosts", "group_add", "gpus", "hostname", "healthcheck", "image", "init",
		"ipc", "isolation", "labels", "label_file", "links", "logging", "log_driver", "log_opt", "mem_limit", "mem_reservation",
		"memswap_limit", "mem_swappiness", "mac_address", "models", "net", "network_mode", "networks", "oom_kill_disable",
		"oom_score_adj", "pid", "pids_limit", "platform", "ports", "privileged", "read_only", "restart", "runtime", "secrets",
		"security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt", "sysctls", "tmpfs", "tty",
		"ulimits", "use_api_socket", "user", "userns_mode", "uts", "volume_driver", "volumes", "volumes_from", "working_dir",
		"pre_start", "post_start", "pre_stop",
	}
}

// Hash is the com.docker.compose.config-hash that a compose of this flavor writes for the service. Of one that refers to other
// containers it is [Project.HashShared].
func (p *Project) Hash(service string, flavor Flavor) (string, error) {
	return p.HashShared(service, flavor, Shared{})
}

// field is one key of the hashed object. A nil value is left out.
type field struct {
	key    string
	value  json.RawMessage
	legacy json.RawMessage // takes the place of value in flavors that have differs
	differ Flavor          // 0: value stands in every flavor
}

// encoding is a service ready to be hashed in any flavor.
type encoding struct {
	fields      []field
	environment int // index of the environment in fields
}

func newEncoding(config types.ServiceConfig) (*encoding, error) {
	legacy, err := legacyFields(config)
	if err != nil {
		return nil, fmt.Errorf("hash service %q: %w", config.Name, err)
	}
	values, err := rootFields(hashed(config))
	if err != nil {
		return nil, fmt.Errorf("hash service %q: %w", config.Name, err)
	}
	e := &encoding{}
	add := func(key string) {
		f := field{key: key, value: values[key]}
		if old, ok := legacy[key]; ok && !bytes.Equal(old.value, f.value) {
			f.legacy, f.differ = old.value, old.differ
		}
		if key == "environment" {
			e.environment = len(e.fields)
		}
		if f.value != nil || f.differ != 0 || key == "environment" {
			e.fields = append(e.fields, f)
		}
		delete(values, key)
	}
	for _, key := range rootOrder() {
		add(key)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		add(key)
	}
	return e, nil
}

// hashed is the service without what compose leaves out of the hash.
func hashed(config types.ServiceConfig) types.ServiceConfig {
	config.Build = nil
	config.PullPolicy = ""
	config.Scale = nil
	config.DependsOn = nil
	config.Profiles = nil
	if config.Deploy != nil {
		deploy := *config.Deploy
		deploy.Replicas = nil
		config.Deploy = &deploy
	}
	return config
}

func rootFields(v any) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	return fields, nil
}

type legacyField struct {
	value  json.RawMessage
	differ Flavor
}

// legacyFields are the forms that older versions hashed.
func legacyFields(config types.ServiceConfig) (map[string]legacyField, error) {
	one := 1
	deploy := types.DeployConfig{}
	if config.Deploy != nil {
		deploy = *config.Deploy
	}
	deploy.Replicas = &one
	fields, err := rootFields(struct {
		Profiles    []string                  `json:"profiles,omitempty"`
		DependsOn   types.DependsOnConfig     `json:"depends_on,omitempty"`
		Deploy      types.DeployConfig        `json:"deploy"`
		Environment map[string]*string        `json:"environment,omitempty"`
		Networks    map[string]*legacyNetwork `json:"networks,omitempty"`
		Volumes     []legacyVolume            `json:"volumes,omitempty"`
	}{
		config.Profiles, config.DependsOn, deploy,
		withoutNulls(config.Environment), legacyNetworks(config.Networks), legacyVolumes(config.Volumes),
	})
	if err != nil {
		return nil, err
	}
	return map[string]legacyField{
		"profiles":    {fields["profiles"], FlavorProfiles},
		"depends_on":  {fields["depends_on"], FlavorDependsOn},
		"deploy":      {fields["deploy"], FlavorDeploy},
		"environment": {fields["environment"], FlavorNull},
		"networks":    {fields["networks"], FlavorNetwork},
		"volumes":     {fields["volumes"], FlavorBind},
	}, nil
}

func withoutNulls(env map[string]*string) map[string]*string {
	out := maps.Clone(env)
	maps.DeleteFunc(out, func(_ string, v *string) bool { return v == nil })
	return out
}

// legacyNetwork has the priority first.
type legacyNetwork struct {
	Priority int `json:"priority,omitempty"`
	types.ServiceNetworkConfig
}

func legacyNetworks(networks map[string]*types.ServiceNetworkConfig) map[string]*legacyNetwork {
	out := make(map[string]*legacyNetwork, len(networks))
	for name, n := range networks {
		if n == nil {
			out[name] = nil
			continue
		}
		out[name] = &legacyNetwork{Priority: n.Priority, ServiceNetworkConfig: *n}
	}
	return out
}

// legacyVolume replaces the bind options of the volume it embeds, at their own place in the order of keys.
type legacyVolume struct {
	Type        string                     `json:"type,omitempty"`
	Source      string                     `json:"source,omitempty"`
	Target      string                     `json:"target,omitempty"`
	ReadOnly    bool                       `json:"read_only,omitempty"`
	Consistency string                     `json:"consistency,omitempty"`
	Bind        *legacyBind                `json:"bind,omitempty"`
	Volume      *types.ServiceVolumeVolume `json:"volume,omitempty"`
	Tmpfs       *types.ServiceVolumeTmpfs  `json:"tmpfs,omitempty"`
	Image       *types.ServiceVolumeImage  `json:"image,omitempty"`
}

type legacyBind struct {
	SELinux        string `json:"selinux,omitempty"`
	Propagation    string `json:"propagation,omitempty"`
	CreateHostPath bool   `json:"create_host_path,omitempty"`
	Recursive      string `json:"recursive,omitempty"`
}

func legacyVolumes(volumes []types.ServiceVolumeConfig) []legacyVolume {
	out := make([]legacyVolume, len(volumes))
	for i, v := range volumes {
		out[i] = legacyVolume{
			Type: v.Type, Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly, Consistency: v.Consistency,
			Volume: v.Volume, Tmpfs: v.Tmpfs, Image: v.Image,
		}
		if b := v.Bind; b != nil {
			out[i].Bind = &legacyBind{b.SELinux, b.Propagation, bool(b.CreateHostPath), b.Recursive}
		}
	}
	return out
}

// setEnvironment replaces the environment; nil values are bare keys.
func (e *encoding) setEnvironment(env map[string]*string) {
	f := field{key: "environment", value: encodeEnvironment(env)}
	if old := encodeEnvironment(withoutNulls(env)); !bytes.Equal(old, f.value) {
		f.legacy, f.differ = old, FlavorNull
	}
	e.fields[e.environment] = f
}

func encodeEnvironment(env map[string]*string) json.RawMessage {
	if len(env) == 0 {
		return nil
	}
	raw, _ := json.Marshal(env) // a map of strings always encodes
	return raw
}

// differs are the flags that change the bytes of this service at all.
func (e *encoding) differs() Flavor {
	var f Flavor
	for _, field := range e.fields {
		f |= field.differ
	}
	return f
}

func (e *encoding) hash(flavor Flavor) string {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, f := range e.fields {
		value := f.value
		if flavor&f.differ != 0 {
			value = f.legacy
		}
		if value == nil {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + f.key + `":`)
		b.Write(value)
	}
	b.WriteByte('}')
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}
