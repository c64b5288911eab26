package compose

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
)

// OverrideFile is the file that compose reads over a project's own ones without being told to.
type OverrideFile struct {
	Path string // absolute; it need not exist
	// ListedIn is the env file in which Listing has to be added to COMPOSE_FILE before compose reads the file; empty when compose finds
	// it by its name.
	ListedIn, Listing string
	// Held says why compose would read none, and Hint what to do about it; Path is empty then.
	Held, Hint string
}

// OverrideFile finds the override file of a project that was loaded with these options.
func (p *Project) OverrideFile(opts Options) OverrideFile {
	listed, isListed := p.Environment[consts.ComposeFilePath]
	switch {
	case len(opts.Files) > 0:
		return OverrideFile{
			Held: "the compose files are named one by one, so compose reads no override file by itself", Hint: "run composure in the project's folder without -f",
		}
	case isListed && !filepath.IsAbs(listed.Source):
		return OverrideFile{
			Held: consts.ComposeFilePath + " in " + listed.Source + " names the compose files, so compose reads no override file by itself",
			Hint: "set " + consts.ComposeFilePath + " in .env instead, or unset it",
		}
	}
	main := p.Files[0].Path
	for _, f := range p.Files[1:] {
		if slices.Contains(cli.DefaultOverrideFileNames, filepath.Base(f.Path)) && filepath.Dir(f.Path) == filepath.Dir(main) {
			return OverrideFile{Path: f.Path}
		}
	}
	o := OverrideFile{Path: filepath.Join(filepath.Dir(main), overrideName(filepath.Base(main)))}
	if isListed {
		separator := cmp.Or(p.Environment[consts.ComposePathSeparator].Value, string(filepath.ListSeparator))
		first, _, _ := strings.Cut(listed.Value, separator)
		o.ListedIn, o.Listing = listed.Source, separator+filepath.Join(filepath.Dir(first), filepath.Base(o.Path))
	}
	return o
}

// overrideName is the name of the override file that belongs to a compose file: compose.override.yaml to compose.yaml.
func overrideName(main string) string {
	extension := filepath.Ext(main)
	if name := strings.TrimSuffix(main, extension) + ".override" + extension; slices.Contains(cli.DefaultOverrideFileNames, name) {
		return name
	}
	return "compose.override.yaml"
}
