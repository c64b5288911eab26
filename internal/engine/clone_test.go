package engine_test

import (
	"encoding/json"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/composure-dev/composure/internal/engine"
)

const (
	oldID   = "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000"
	oldHost = "aaaaaaaaaaaa"
	imageID = "sha256:bbbb"

	parentID = "eeeeeeeeeeee0000000000000000000000000000000000000000000000000000"
	otherID  = "dddddddddddd0000000000000000000000000000000000000000000000000000"
)

// original is a plain running container; edit makes it the one of a case.
func original(edit func(*engine.Container)) engine.Replacement {
	c := engine.Container{InspectResponse: container.InspectResponse{
		ID:    oldID,
		Name:  "/shop-web-1",
		Image: imageID,
		Config: &container.Config{
			Image:      "web:1",
			Hostname:   oldHost,
			Env:        []string{"A=1"},
			Entrypoint: []string{"/web"},
			Labels:     map[string]string{engine.LabelConfigHash: "before"},
		},
		HostConfig: &container.HostConfig{NetworkMode: "front"},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{
			"front": {Aliases: []string{"web", oldHost, "web"}, IPAddress: netip.MustParseAddr("10.0.0.2")},
		}},
	}}
	edit(&c)
	return engine.Replacement{
		Old:         c,
		Image:       engine.Image{ID: imageID, Names: []string{"web:1"}},
		Env:         []string{"A=2", "BARE"},
		ConfigHash:  "after",
		Transaction: "tx-1",
	}
}

func TestClone(t *testing.T) {
	type args struct {
		edit  func(*engine.Container)
		image []string // names that the image has now; nil leaves web:1
		api   string

		references map[string]string
		sources    []engine.Container
	}
	cases := map[string]struct {
		reason string
		args   args
		want   any
		get    func(engine.Spec) any
	}{
		"Name": {
			reason: "The old container keeps its name until the new one has proved itself.",
			want:   "shop-web-1.composure-new",
			get:    func(s engine.Spec) any { return s.Name },
		},
		"Environment": {
			reason: "The environment is the one thing that changes; bare keys hide the image's and are kept.",
			want:   []string{"A=2", "BARE"},
			get:    func(s engine.Spec) any { return s.Config.Env },
		},
		"Labels": {
			reason: "A crash is recovered from by the labels, and those of an older transaction would mislead.",
			args: args{edit: func(c *engine.Container) {
				c.Config.Labels[engine.LabelTransaction], c.Config.Labels[engine.LabelReplaces] = "older", "older"
				c.Config.Labels["own"] = "1"
				c.HostConfig.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 3}
			}},
			want: map[string]string{
				engine.LabelConfigHash: "after", engine.LabelTransaction: "tx-1", engine.LabelReplaces: oldID,
				engine.LabelRestart: "on-failure:3", "own": "1",
			},
			get: func(s engine.Spec) any { return s.Config.Labels },
		},
		"EmptyEntrypoint": {
			reason: "Null would bring the image's entrypoint back.",
			args:   args{edit: func(c *engine.Container) { c.Config.Entrypoint = nil }},
			want:   []string{},
			get:    func(s engine.Spec) any { return s.Config.Entrypoint },
		},
		"DefaultHostname": {
			reason: "The short id as hostname would freeze the old id.",
			want:   "",
			get:    func(s engine.Spec) any { return s.Config.Hostname },
		},
		"OwnHostname": {
			reason: "A hostname that was asked for stays.",
			args:   args{edit: func(c *engine.Container) { c.Config.Hostname = "own" }},
			want:   "own",
			get:    func(s engine.Spec) any { return s.Config.Hostname },
		},
		"HostUTS": {
			reason: "The engine refuses a hostname together with the host's UTS namespace.",
			args: args{edit: func(c *engine.Container) {
				c.Config.Hostname, c.Config.Domainname, c.HostConfig.UTSMode = "machine", "local", "host"
			}},
			want: []string{"", ""},
			get:  func(s engine.Spec) any { return []string{s.Config.Hostname, s.Config.Domainname} },
		},
		"HostNetworkHostname": {
			reason: "With the host's network the engine takes a hostname, and inspect shows it.",
			args: args{edit: func(c *engine.Container) {
				c.Config.Hostname, c.HostConfig.NetworkMode = "machine", "host"
			}},
			want: "machine",
			get:  func(s engine.Spec) any { return s.Config.Hostname },
		},
		"ImageByName": {
			reason: "A name that still means the same image keeps later docker compose runs quiet.",
			args:   args{image: []string{"docker.io/library/web:1"}},
			want:   "web:1",
			get:    func(s engine.Spec) any { return s.Config.Image },
		},
		"ImageMoved": {
			reason: "A tag that has moved would smuggle another image in.",
			args:   args{image: []string{}},
			want:   imageID,
			get:    func(s engine.Spec) any { return s.Config.Image },
		},
		"ImageLatest": {
			reason: "A name without a tag means latest.",
			args:   args{edit: func(c *engine.Container) { c.Config.Image = "web" }, image: []string{"web:latest"}},
			want:   "web",
			get:    func(s engine.Spec) any { return s.Config.Image },
		},
		"MaskedPaths": {
			reason: "The engine's lists are left to the engine; an empty one means unconfined.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.MaskedPaths, c.HostConfig.ReadonlyPaths = []string{"/proc/kcore"}, []string{}
			}},
			want: [][]string{nil, {}},
			get:  func(s engine.Spec) any { return [][]string{s.Host.MaskedPaths, s.Host.ReadonlyPaths} },
		},
		"AnonymousVolumes": {
			reason: "Volumes without a name would be replaced by empty ones; those with one are not listed twice.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.Binds = []string{"data:/data", "/src:/src:ro"}
				c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/cache"}}
				c.Mounts = []container.MountPoint{
					{Type: mount.TypeVolume, Name: "data", Destination: "/data"},
					{Type: mount.TypeBind, Source: "/src", Destination: "/src"},
					{Type: mount.TypeVolume, Name: "v1", Destination: "/cache"},
					{Type: mount.TypeVolume, Name: "v2", Destination: "/image"},
				}
			}},
			want: []mount.Mount{
				{Type: mount.TypeVolume, Source: "v1", Target: "/cache"},
				{Type: mount.TypeVolume, Source: "v2", Target: "/image"},
			},
			get: func(s engine.Spec) any { return s.Host.Mounts },
		},
		"Aliases": {
			reason: "The short id among the aliases is the old container's, and its address is not asked for again.",
			want: map[string]*network.EndpointSettings{
				"front": {Aliases: []string{"web"}},
			},
			get: func(s engine.Spec) any { return s.Network.EndpointsConfig },
		},
		"StaticAddress": {
			reason: "Only an address that was asked for is asked for again.",
			args: args{edit: func(c *engine.Container) {
				c.NetworkSettings.Networks["front"].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.0.9")}
			}},
			want: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.0.9")},
			get:  func(s engine.Spec) any { return s.Network.EndpointsConfig["front"].IPAMConfig },
		},
		"TwoNetworksBefore144": {
			reason: "Older engines take one network at create: the one the network mode names. The rest is connected.",
			args:   args{edit: withBack},
			want:   [][]string{{"front"}, {"back"}},
			get:    networksOf,
		},
		"TwoNetworksSince144": {
			reason: "Newer engines take all at create.",
			args:   args{edit: withBack, api: "1.44"},
			want:   [][]string{{"back", "front"}, nil},
			get:    networksOf,
		},
		"DefaultBridge": {
			reason: "The default network mode means the network bridge.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.NetworkMode = "default"
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"bridge": {}, "back": {}}
			}},
			want: [][]string{{"bridge"}, {"back"}},
			get:  networksOf,
		},
		"HostNetwork": {
			reason: "The host's network has no endpoints to ask for.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.NetworkMode = "host"
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"host": {}}
			}},
			want: (*network.NetworkingConfig)(nil),
			get:  func(s engine.Spec) any { return s.Network },
		},
		"GeneratedMAC": {
			reason: "An endpoint's own MAC address was generated from the address.",
			args: args{api: "1.44", edit: func(c *engine.Container) {
				c.NetworkSettings.Networks["front"].MacAddress = network.HardwareAddr{2, 0x42, 10, 0, 0, 2}
			}},
			want: network.HardwareAddr(nil),
			get:  func(s engine.Spec) any { return s.Network.EndpointsConfig["front"].MacAddress },
		},
		"WantedMACBefore144": {
			reason: "Older engines take it for the container, and ignore an endpoint's.",
			args: args{edit: func(c *engine.Container) {
				c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`)
			}},
			want: []any{"02:00:00:00:00:01", network.HardwareAddr(nil)},
			get:  func(s engine.Spec) any { return []any{s.MACAddress, s.Network.EndpointsConfig["front"].MacAddress} },
		},
		"WantedMACWithoutNetwork": {
			reason: "Older engines note it without a network, too.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.NetworkMode, c.NetworkSettings.Networks = "none", nil
				c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`)
			}},
			want: "02:00:00:00:00:01",
			get:  func(s engine.Spec) any { return s.MACAddress },
		},
		"References": {
			reason: "What is shared with a container that was replaced is shared with its replacement; a name has moved by itself.",
			args: args{
				edit: func(c *engine.Container) {
					c.HostConfig.NetworkMode, c.HostConfig.PidMode, c.HostConfig.IpcMode = "container:"+parentID, "container:"+parentID, "container:db"
					c.HostConfig.VolumesFrom = []string{parentID + ":ro", parentID[:12], otherID}
				},
				references: map[string]string{parentID: newID},
			},
			want: []string{"container:" + newID, "container:" + newID, "container:db", newID + ":ro", newID, otherID},
			get: func(s engine.Spec) any {
				modes := []string{string(s.Host.NetworkMode), string(s.Host.PidMode), string(s.Host.IpcMode)}
				return append(modes, s.Host.VolumesFrom...)
			},
		},
		"SharedNetwork": {
			reason: "The engine refuses names, ports and networks of its own; inspect shows the other container's and the image's.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.NetworkMode = "container:" + parentID
				c.Config.Hostname, c.Config.Domainname = "parent", "local"
				c.Config.ExposedPorts = network.PortSet{network.MustParsePort("80/tcp"): {}}
				c.HostConfig.PortBindings = network.PortMap{network.MustParsePort("80/tcp"): nil}
			}},
			want: []any{"", "", network.PortSet(nil), network.PortMap(nil), (*network.NetworkingConfig)(nil)},
			get: func(s engine.Spec) any {
				return []any{s.Config.Hostname, s.Config.Domainname, s.Config.ExposedPorts, s.Host.PortBindings, s.Network}
			},
		},
		"InheritedVolumes": {
			reason: "What comes from another container goes on to; only what is anonymous and its own is pinned.",
			args: args{
				edit: func(c *engine.Container) {
					c.HostConfig.VolumesFrom = []string{otherID}
					c.Mounts = []container.MountPoint{
						{Type: mount.TypeVolume, Name: "v1", Destination: "/inherited"},
						{Type: mount.TypeVolume, Name: "v2", Destination: "/own"},
					}
				},
				sources: []engine.Container{{InspectResponse: container.InspectResponse{
					Mounts: []container.MountPoint{{Type: mount.TypeVolume, Name: "v1", Destination: "/inherited"}},
				}}},
			},
			want: []mount.Mount{{Type: mount.TypeVolume, Source: "v2", Target: "/own"}},
			get:  func(s engine.Spec) any { return s.Host.Mounts },
		},
		"Links": {
			reason: "They are asked for by the name that the other container has or is about to get back.",
			args: args{edit: func(c *engine.Container) {
				c.HostConfig.Links = []string{"/db:/shop-web-1/database", "/cache.composure-old:/shop-web-1/cache"}
			}},
			want: []string{"db:database", "cache:cache"},
			get:  func(s engine.Spec) any { return s.Host.Links },
		},
		"UserLinks": {
			reason: "Links of a user network are shown as they are asked for.",
			args: args{edit: func(c *engine.Container) {
				c.NetworkSettings.Networks["front"].Links = []string{"db:database"}
			}},
			want: []string{"db:database"},
			get:  func(s engine.Spec) any { return s.Network.EndpointsConfig["front"].Links },
		},
		"WantedMAC": {
			reason: "A MAC address that was asked for moves to the endpoint.",
			args: args{api: "1.44", edit: func(c *engine.Container) {
				c.Raw = json.RawMessage(`{"Config": {"MacAddress": "02:00:00:00:00:01"}}`)
			}},
			want: network.HardwareAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1}),
			get:  func(s engine.Spec) any { return s.Network.EndpointsConfig["front"].MacAddress },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.args.edit == nil {
				tc.args.edit = func(*engine.Container) {}
			}
			r := original(tc.args.edit)
			if tc.args.image != nil {
				r.Image.Names = tc.args.image
			}
			api := tc.args.api
			if api == "" {
				api = engine.MinAPIVersion
			}
			r.References = tc.args.references
			spec, err := engine.Clone(r, api, tc.args.sources...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, tc.get(spec), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func withBack(c *engine.Container) {
	c.NetworkSettings.Networks["back"] = &network.EndpointSettings{}
}

func networksOf(s engine.Spec) any {
	names := [][]string{nil, nil}
	for _, name := range []string{"back", "bridge", "front"} {
		if s.Network.EndpointsConfig[name] != nil {
			names[0] = append(names[0], name)
		}
		if s.Connect[name] != nil {
			names[1] = append(names[1], name)
		}
	}
	return names
}

func TestCloneLeavesTheOriginalAlone(t *testing.T) {
	edit := func(c *engine.Container) {
		withBack(c)
		c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/cache"}}
		c.Mounts = []container.MountPoint{{Type: mount.TypeVolume, Name: "v1", Destination: "/cache"}}
	}
	r := original(edit)
	if _, err := engine.Clone(r, engine.MinAPIVersion); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(original(edit), r, cmpopts.EquateComparable(netip.Addr{}, network.Port{})); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestCloneRefusesNamelessVariables(t *testing.T) {
	r := original(func(*engine.Container) {})
	r.Env = []string{"A=1", "=secret"}
	_, err := engine.Clone(r, engine.MinAPIVersion)
	const want = `clone container "shop-web-1": entry 2 of the environment has no name`
	if err == nil || err.Error() != want {
		t.Errorf("the engine would repeat the value in its refusal\ngot %v, want %q", err, want)
	}
}
