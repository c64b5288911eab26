package compose

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// maxFlips bounds how many variables of uncertain origin may differ from where they are expected: more would prove nothing.
const maxFlips = 2

// ReplaceQuestion is a running container of which [Project.Replace] asks what its successor is created with.
type ReplaceQuestion struct {
	Service string
	// Env is the container's Config.Env; a nil value is a bare KEY. ImageEnv is the ENV of the image it was created from.
	Env      map[string]*string
	ImageEnv map[string]string
	// Hash and Version are its labels com.docker.compose.config-hash and .version.
	Hash, Version string
	// Shared is what the container refers to, AfterShared what its successor does; nil: the same.
	Shared      Shared
	AfterShared *Shared
	// After is the project as it is to be; nil: the project asked.
	After *Project
}

// Replacement is what compose itself would create the successor of a container with.
type Replacement struct {
	Env  []string // Config.Env, sorted; a bare KEY has no =
	Hash string   // the label com.docker.compose.config-hash
}

// Unprovable tells that no hash can be stamped: more than the environment may differ between container and files.
type Unprovable struct {
	Service string
	Reason  string
}

func (e *Unprovable) Error() string {
	return fmt.Sprintf("prove the configuration of service %q: %s", e.Service, e.Reason)
}

// Replace proves that the container was created from this project's service but for the environment, and returns what takes its
// place by the service of q.After. The project asked is the one on disk now. The error is [*Unprovable] when there is no proof.
//
// Environment and hash come from one proof: it also tells which proxy variables compose took from the docker client's
// settings. Those stay; one that a file had declared goes with its declaration.
func (p *Project) Replace(q ReplaceQuestion) (Replacement, error) {
	declared, flavor, err := p.prove(q)
	if err != nil {
		return Replacement{}, err
	}
	after := p
	if q.After != nil {
		after = q.After
	}
	if flavor&(FlavorNull|FlavorDeploy) != 0 && after.resolvesOtherwise(q) {
		return Replacement{}, &Unprovable{q.Service, "compose " + q.Version + " resolves its environment otherwise than this release"}
	}
	shared := q.Shared
	if q.AfterShared != nil {
		shared = *q.AfterShared
	}
	hash, err := after.HashShared(q.Service, flavor, shared)
	if err != nil {
		return Replacement{}, err
	}
	proxies := maps.Clone(q.Env)
	maps.DeleteFunc(proxies, func(key string, value *string) bool {
		_, inFiles := declared[key]
		return inFiles || !isProxy(key) || value == nil
	})
	return Replacement{Env: after.newEnv(q.Service, q.ImageEnv, proxies), Hash: hash}, nil
}

// prove finds the environment that the files gave the container when it was created, and the flavor of the compose that did.
func (p *Project) prove(q ReplaceQuestion) (declared map[string]*string, flavor Flavor, err error) {
	unprovable := func(reason string) error { return &Unprovable{Service: q.Service, Reason: reason} }
	config, ok := p.configs[q.Service]
	if !ok {
		return nil, 0, unprovable("the service is not in the project, or its environment does not resolve")
	}
	if q.Hash == "" {
		return nil, 0, unprovable("the container has no config hash")
	}
	flavor, ok = FlavorOf(q.Version)
	if !ok {
		return nil, 0, unprovable(fmt.Sprintf("compose version %q is not known", q.Version))
	}
	config, ok = refer(config, q.Shared)
	if !ok {
		return nil, 0, unprovable("it does not refer to the containers that the files have it refer to")
	}
	e, err := newEncoding(config)
	if err != nil {
		return nil, 0, err
	}
	declared, matches := e.match(candidates(q, config.Environment), q.Hash)
	switch {
	case len(matches) == 0:
		return nil, 0, unprovable("more than its environment differs from the files")
	case !slices.ContainsFunc(matches, func(m Flavor) bool { return m == flavor&e.flags() }):
		return nil, 0, unprovable("its hash is not one that compose " + q.Version + " writes for these files")
	}
	return declared, flavor, nil
}

// resolvesOtherwise tells whether a compose before 2.35 gives the service another environment than Load does: it does not
// read a service's own environment for its env_file, and a bare KEY does not hide the image's.
func (p *Project) resolvesOtherwise(q ReplaceQuestion) bool {
	if p.selfReferring[q.Service] {
		return true
	}
	for key, value := range p.configs[q.Service].Environment {
		if _, inImage := q.ImageEnv[key]; inImage && value == nil {
			return true
		}
	}
	return false
}

// flags are those that can change the bytes whatever the environment is.
func (e *encoding) flags() Flavor { return e.differs() | FlavorNull }

// match returns the first of the environments that gives the hash, and the flavors, reduced to the flags that matter here, in
// which it does.
func (e *encoding) match(environments iter.Seq[map[string]*string], hash string) (map[string]*string, []Flavor) {
	var matches []Flavor
	for env := range environments {
		e.setEnvironment(env)
		differs, flags := e.differs(), e.flags()
		hashes := map[Flavor]string{} // equal bytes are hashed once
		for f := range Flavor(flavorCount) {
			if f&^flags != 0 {
				continue
			}
			if _, ok := hashes[f&differs]; !ok {
				hashes[f&differs] = e.hash(f)
			}
			if hashes[f&differs] == hash {
				matches = append(matches, f)
			}
		}
		if matches != nil {
			return env, matches
		}
	}
	return nil, nil
}

// candidates are the environments that the container's may have been declared as, the likeliest first. What the image or
// the client's proxy settings may have given is uncertain: it starts in exactly if the files have it now, then by flips.
func candidates(q ReplaceQuestion, now map[string]*string) iter.Seq[map[string]*string] {
	declared := map[string]*string{}
	var uncertain []string
	for key, value := range q.Env {
		image, inImage := q.ImageEnv[key]
		fromImage := inImage && value != nil && *value == image
		_, inFiles := now[key]
		if fromImage || isProxy(key) {
			uncertain = append(uncertain, key)
		}
		if !fromImage && !isProxy(key) || inFiles {
			declared[key] = value
		}
	}
	slices.Sort(uncertain)
	return func(yield func(map[string]*string) bool) {
		for flips := 0; flips <= maxFlips; flips++ {
			for _, chosen := range combinations(uncertain, flips) {
				if !yield(flipped(declared, q.Env, chosen)) {
					return
				}
			}
		}
	}
}

func flipped(declared, all map[string]*string, keys []string) map[string]*string {
	out := maps.Clone(declared)
	for _, key := range keys {
		if _, in := out[key]; in {
			delete(out, key)
			continue
		}
		out[key] = all[key]
	}
	return out
}

// combinations returns every choice of n keys.
func combinations(keys []string, n int) [][]string {
	if n == 0 {
		return [][]string{nil}
	}
	var choices [][]string
	for i, key := range keys {
		for _, rest := range combinations(keys[i+1:], n-1) {
			choices = append(choices, append([]string{key}, rest...))
		}
	}
	return choices
}

// isProxy tells whether the docker client's proxy settings may have given the variable.
func isProxy(key string) bool {
	return slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}, strings.ToUpper(key))
}

// newEnv is the Config.Env, sorted, of a container of the service: what is declared over the client's proxies over the image's.
func (p *Project) newEnv(service string, image map[string]string, proxies map[string]*string) []string {
	env := map[string]*string{}
	for key, value := range image {
		env[key] = &value
	}
	maps.Copy(env, proxies)
	maps.Copy(env, p.configs[service].Environment)
	out := make([]string, 0, len(env))
	for key, value := range env {
		if value == nil {
			out = append(out, key)
			continue
		}
		out = append(out, key+"="+*value)
	}
	slices.Sort(out)
	return out
}
