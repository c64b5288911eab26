package policy

import "path"

// Matches reports whether s selects svc of project. Globs are those of [path.Match]: a * does not cross a slash.
func (s Selector) Matches(project string, svc Service) bool {
	if svc.Labels[IgnoreLabel] == "true" {
		return false
	}
	return anyGlob(s.Projects, project) &&
		anyGlob(s.Services, svc.Name) &&
		anyGlob(s.Images, svc.Image) &&
		(len(s.Exclude) == 0 || !anyGlob(s.Exclude, svc.Name)) &&
		hasLabels(svc.Labels, s.MatchLabels)
}

// anyGlob reports whether one of the globs matches name; no globs match everything.
func anyGlob(globs []string, name string) bool {
	for _, glob := range globs {
		if ok, err := path.Match(glob, name); err == nil && ok {
			return true
		}
	}
	return len(globs) == 0
}

func hasLabels(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}
