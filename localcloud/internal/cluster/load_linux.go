package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Load imports the images of an archive, as `docker save` or an OCI layout in a tar file, into the node, so that pods
// can use them. The node pulls from nowhere. If name is not empty, the archive must hold one image, which gets this
// name, too. Load prints the name of each image as pods use it.
func Load(ctx context.Context, p Project, archive, as string, out io.Writer) error {
	if err := needRoot(); err != nil {
		return err
	}
	full := ""
	if as != "" {
		var err error
		if full, err = imageName(as); err != nil {
			return err
		}
	}
	if info, err := os.Stat(archive); err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file: want an archive of an image, as from `docker save`", archive)
	}
	if _, alive, err := p.Find(); err != nil {
		return err
	} else if !alive {
		return NotRunningError{}
	}
	node := ctr{program: "ctr", socket: p.containerdSocket()}
	// containerd makes up a name that begins with this for an image that the archive names partly or not at all.
	const nameless = "nameless"
	said, err := node.run(ctx, "images", "import", "--base-name="+nameless, "--digests", "--skip-digest-for-named",
		archive)
	if err != nil {
		return fmt.Errorf("%s is not an archive of an image that containerd can import: %w", archive, err)
	}
	var names, unnamed []string
	for _, imported := range importedImages(said) {
		if strings.HasPrefix(imported, nameless) {
			unnamed = append(unnamed, imported)
		} else {
			names = append(names, imported)
		}
	}
	if full != "" && len(names)+len(unnamed) == 1 {
		if _, err := node.run(ctx, "images", "tag", "--force", append(names, unnamed...)[0], full); err != nil {
			return err
		}
		names, full = []string{full}, ""
	}
	for _, each := range unnamed {
		if _, err := node.run(ctx, "images", "remove", each); err != nil {
			return err
		}
	}
	switch {
	case full != "" && len(names)+len(unnamed) > 1:
		return fmt.Errorf("--name %s: %s has %d images, which keep their names: %s", as, archive,
			len(names)+len(unnamed), strings.Join(names, ", "))
	case len(names) == 0 && len(unnamed) > 0:
		return fmt.Errorf("%s does not name its image: add --name, such as --name shop-api:1.0", archive)
	case len(names) == 0:
		return fmt.Errorf("%s has no image for this machine's architecture", archive)
	}
	for _, each := range names {
		fmt.Fprintln(out, each)
	}
	return nil
}

// imageName returns an image's name in the form that the kubelet looks it up by.
func imageName(as string) (string, error) {
	tag, err := name.NewTag(as)
	if err != nil {
		return "", fmt.Errorf("--name %q: want a name with a tag, such as shop:1.0: %w", as, err)
	}
	if tag.TagStr() == name.DefaultTag {
		return "", fmt.Errorf("--name %q: want another tag than latest, which Kubernetes pulls at each start of a pod",
			as)
	}
	if rest, hub := strings.CutPrefix(tag.Name(), name.DefaultRegistry+"/"); hub {
		return "docker.io/" + rest, nil
	}
	return tag.Name(), nil
}

var unpacked = regexp.MustCompile(`(?m)^unpacking (\S+) \(sha256:`)

// importedImages returns the names in the output of `ctr images import`.
func importedImages(said string) []string {
	var names []string
	for _, match := range unpacked.FindAllStringSubmatch(said, -1) {
		names = append(names, match[1])
	}
	return names
}
