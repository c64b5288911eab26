package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// sweepAge is how old a leftover of probes must be to be removed: what is younger another process may be about to use.
const sweepAge = 10 * time.Minute

// sweepContainers removes the probe containers that runs have left which were killed. It is best effort: what cannot be removed
// now is found again.
func (c *Client) sweepContainers(ctx context.Context) {
	probes, err := c.List(ctx, LabelRole+"="+RoleProbe)
	if err != nil {
		return
	}
	for _, probe := range probes {
		created, err := time.Parse(time.RFC3339Nano, probe.Created)
		if err != nil || !isOld(created) || !strings.HasPrefix(probe.CleanName(), probePrefix) {
			continue
		}
		_ = c.Remove(ctx, probe.ID, false) // refused while it runs
	}
}

// sweepImages removes the probe images of other builds. The engine refuses to remove one that a container uses.
func (c *Client) sweepImages(ctx context.Context, keep string) {
	filters := make(client.Filters).Add("label", LabelRole+"="+RoleProbe).Add("reference", probeRepository)
	listed, err := c.api.ImageList(ctx, client.ImageListOptions{Filters: filters})
	if err != nil {
		return
	}
	for _, image := range listed.Items {
		if !isOld(time.Unix(image.Created, 0)) || slices.Contains(image.RepoTags, keep) {
			continue
		}
		for _, name := range image.RepoTags {
			if strings.HasPrefix(name, probeRepository+":") {
				_, _ = c.api.ImageRemove(ctx, name, client.ImageRemoveOptions{})
			}
		}
	}
}

// isOld holds for what was made long enough ago.
func isOld(created time.Time) bool { return time.Since(created) > sweepAge }
