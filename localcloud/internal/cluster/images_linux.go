package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"dbtier/localcloud/internal/artifacts"
)

// importImages imports the images that containerd does not hold yet, the node's own images first. It calls nodeHas once
// those are imported.
func (s *supervisor) importImages(ctx context.Context, nodeHas func()) error {
	images, err := artifacts.Images(s.project.Dir)
	if err != nil {
		return err
	}
	node := ctr{program: s.files.ctr, socket: s.project.containerdSocket()}
	listing, err := node.run(ctx, "images", "list")
	if err != nil {
		return err
	}
	held := heldImages(listing)
	needed := map[string]bool{pauseImage: true, dnsImage: true}
	var archives []string
	for _, image := range images {
		if held[image.Name] != image.ID && !slices.Contains(archives, image.Tarball) {
			archives = append(archives, image.Tarball)
		}
	}
	waiting := false
	for _, image := range images {
		waiting = waiting || needed[image.Name] && slices.Contains(archives, image.Tarball)
	}
	if !waiting {
		nodeHas()
	}
	for _, archive := range archives {
		if _, err := node.run(ctx, "images", "import", archive); err != nil {
			return err
		}
		// The node's images come first in the list and share one archive.
		if waiting {
			waiting = false
			nodeHas()
		}
	}
	return nil
}

// ctr is containerd's client for the images of the node.
type ctr struct{ program, socket string }

func (c ctr) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.program,
		append([]string{"--address", c.socket, "--namespace", "k8s.io"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// heldImages parses `ctr images list` and returns the ID of each named image. containerd lists every image twice, by
// name and by ID, and both lines have the digest of the same manifest.
func heldImages(listing string) map[string]string {
	manifests, ids := map[string]string{}, map[string]string{}
	for line := range strings.Lines(listing) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[2], "sha256:") {
			continue
		}
		if name, digest := f[0], f[2]; strings.HasPrefix(name, "sha256:") {
			ids[digest] = name
		} else {
			manifests[name] = digest
		}
	}
	held := map[string]string{}
	for name, digest := range manifests {
		held[name] = ids[digest]
	}
	return held
}
