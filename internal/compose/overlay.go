package compose

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// walk is what the resolver found, and in which environment.
type walk struct {
	env      environment
	disk     *resolver
	onDisk   model
	resolver *resolver // like disk and onDisk, unless files that are not top-level are overlaid
	services model
}

// projectName is the source of the one variable that compose itself sets.
const projectName = "the project name"

// walk resolves the files for a project of this name, unless that is done.
func (l *load) walk(name string) error {
	env := environment{values: maps.Clone(l.env.values), sources: maps.Clone(l.env.sources)}
	if given, ok := env.values[consts.ComposeProjectName]; !ok || given != name {
		env.sources[consts.ComposeProjectName] = projectName
	}
	env.values[consts.ComposeProjectName] = name
	if l.walked.disk != nil && l.walked.env.values[consts.ComposeProjectName] == name {
		return nil
	}
	w := walk{env: env, disk: l.newResolver(false)}
	var err error
	if w.onDisk, err = w.disk.resolve(env, l.byFile); err != nil {
		return err
	}
	w.resolver, w.services = w.disk, w.onDisk
	if len(l.opts.Overlay) > 0 {
		w.resolver = l.newResolver(true)
		if w.services, err = w.resolver.resolve(env, l.byFile); err != nil {
			return err
		}
	}
	l.walked = w
	return nil
}

// adopt makes configs those of the candidates in the overlay. compose-go reads included, extended and env files from the disk,
// whatever it is told: what it makes of those on disk must be what the walk makes of them, and then the walk's word counts for
// the candidates.
func (l *load) adopt(ctx context.Context, configs types.Services) error {
	w := l.walked
	if w.resolver == w.disk {
		return nil
	}
	for name, config := range configs {
		if l.broken[name] != "" {
			continue
		}
		if !w.services[name].exists() {
			return fmt.Errorf("load project: the change removes service %q", name)
		}
		before, err := w.disk.outcome(w.onDisk[name], w.env)
		if err != nil {
			return err
		}
		after, err := w.resolver.outcome(w.services[name], w.env)
		if err != nil {
			return err
		}
		if w.resolver.touched() && !maps.EqualFunc(before.values, config.Environment, sameValue) {
			return fmt.Errorf("load project: where the environment of service %q comes from cannot be followed, so a change cannot be judged", name)
		}
		if !maps.EqualFunc(before.values, after.values, sameValue) {
			config.Environment = after.values
			configs[name] = config
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.services)) {
		if _, ok := configs[name]; !ok && w.services[name].exists() {
			return fmt.Errorf("load project: the change adds service %q", name)
		}
	}
	return l.reload(ctx)
}

// touched reports whether a file was read from the overlay that compose-go reads from the disk.
func (r *resolver) touched() bool {
	read := slices.Concat(slices.Collect(maps.Keys(r.reached)), slices.Collect(maps.Keys(r.envReads)), slices.Collect(maps.Keys(r.serviceReads)))
	return r.overlays(read...)
}

// reload asks compose-go whether the candidates load in the way in which it gets them.
func (l *load) reload(ctx context.Context) error {
	for _, r := range l.walked.resolver.loads {
		details := types.ConfigDetails{WorkingDir: r.dir, Environment: maps.Clone(r.env)}
		for _, path := range r.files {
			content, ok, err := l.walked.resolver.content(path)
			if err != nil || !ok {
				return cmp.Or(err, fmt.Errorf("read compose file %q: it does not exist", path))
			}
			details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: path, Content: append([]byte{}, content...)})
		}
		_, err := loader.LoadModelWithContext(ctx, details, l.configure, func(o *loader.Options) {
			o.SetProjectName(l.model.Name, true)
			o.SkipNormalization, o.SkipConsistencyCheck = true, true
			if r.extends {
				o.ResolvePaths = false
				o.SkipInclude, o.SkipExtends, o.SkipValidation, o.SkipDefaultValues = true, true, true, true
			}
		})
		if err != nil {
			return l.loadError(err)
		}
	}
	return nil
}
