package artifacts

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is the host part of every local image's name. It does not resolve, so a node without the image fails at once
// instead of pulling an image from somewhere else.
const Registry = "localcloud.internal"

// Image is one container image of the local cloud.
type Image struct {
	// Name is the reference that pods use.
	Name string `json:"name"`
	// Tarball is the archive that contains the image. Several images can share one.
	Tarball string `json:"tarball"`
	// ID is the digest of the image's configuration. It identifies the content.
	ID string `json:"id"`
}

// recipe describes the content of an image.
type recipe struct {
	name string
	// base is true for images based on the Debian root file system, and false for images of one static program.
	base bool
	// files maps paths in the image to programs in the cache and to folders of the sources.
	files map[string]string
	// entrypoint, env and user are as in an image's configuration.
	entrypoint []string
	env        []string
	user       string
	labels     map[string]string
}

// config returns the configuration of the image.
func (r recipe) config() registryv1.Config {
	return registryv1.Config{
		Entrypoint: r.entrypoint, Env: append([]string{searchPath}, r.env...), User: r.user, WorkingDir: "/",
		Labels: r.labels,
	}
}

// archive is a set of images that are imported together and share their layers.
type archive struct {
	name    string
	recipes []recipe
}

// PoolVersion is the tag of the pool's image: the version of Debian's package of PgBouncer, with an underscore for the
// plus sign, which a tag cannot have.
const PoolVersion = "1.24.1-1_deb13u2"

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// poolRecipe is the image of the pool, here and as it is exported. images/pool/Dockerfile makes the same.
func poolRecipe() recipe {
	return recipe{
		name: "pgbouncer:" + PoolVersion, base: true, entrypoint: []string{"/usr/sbin/pgbouncer"}, user: "10001:10001",
		labels: map[string]string{
			"org.opencontainers.image.title":   "pgbouncer",
			"org.opencontainers.image.version": PoolVersion,
		},
	}
}

// LoadVersion is the tag of the load's image. It changes with the program's interface: its flags, its output and the
// tables that it uses (images/load/output.go).
const LoadVersion = "1.0.0"

// loadDir is the folder of the load's module, relative to the sources.
const loadDir = "images/load"

// loadRecipe is the image of the load of a drill, here and as it is exported. The program needs no other file: the
// certificates that it verifies the server with are in the pod.
func loadRecipe() recipe {
	return recipe{
		name: "load:" + LoadVersion, entrypoint: []string{"/load"}, user: "10001:10001",
		files: map[string]string{"/load": programs + "load"},
		labels: map[string]string{
			"org.opencontainers.image.title":   "load",
			"org.opencontainers.image.version": LoadVersion,
		},
	}
}

// programs is the prefix of the files of a recipe that are programs in the cache.
const programs = "bin/"

func archives() []archive {
	static := func(name, program, version string) recipe {
		return recipe{
			name: name + ":" + version, files: map[string]string{"/bin/" + program: programs + program},
			entrypoint: []string{"/bin/" + program}, user: "65534:65534",
		}
	}
	pause := static("pause", "pause", "1")
	coredns := static("coredns", "coredns", "1.12.4")
	coredns.user = ""
	myshop := recipe{
		name: "myshop-api:1.4.2", base: true, entrypoint: []string{"/myshop-api"}, user: "10001:10001",
		files: map[string]string{"/myshop-api": programs + "myshop-api", "/usr/bin/pgbench": programs + "pgbench"},
	}
	// A later version of the same service whose newest migration fails.
	broken := myshop
	broken.name = "myshop-api:1.5.0-broken"
	broken.files = maps.Clone(myshop.files)
	broken.files["/migrations"] = "examples/myshop-api/broken"
	broken.env = []string{"MIGRATIONS_DIR=/migrations"}
	return []archive{
		{name: "node", recipes: []recipe{pause, coredns}},
		{name: "operator", recipes: []recipe{static("external-secrets", "external-secrets", "v0.20.4")}},
		{name: "debian", recipes: []recipe{
			poolRecipe(), myshop, broken,
		}},
		// No stack waits for it, so it comes last, and a change of the load makes only this small archive anew.
		{name: "load", recipes: []recipe{loadRecipe()}},
	}
}

// Images lists the images in the cache, in the order in which a node needs them.
func Images(project string) ([]Image, error) {
	var images []Image
	for _, a := range archives() {
		list := filepath.Join(Paths(project).Images, a.name, "images.json")
		text, err := os.ReadFile(list)
		if err != nil {
			return nil, fmt.Errorf("reading the list of built images: %w; run `localcloud build`", err)
		}
		var some []Image
		if err := json.Unmarshal(text, &some); err != nil {
			return nil, fmt.Errorf("%s: %w", list, err)
		}
		for i := range some {
			some[i].Tarball = filepath.Join(filepath.Dir(list), some[i].Tarball)
		}
		images = append(images, some...)
	}
	return images, nil
}

func (b *Builder) images() []step {
	var steps []step
	for _, a := range archives() {
		steps = append(steps, step{
			name:   "images/" + a.name,
			target: filepath.Join(b.Images, a.name),
			key:    func(ctx context.Context) (string, error) { return b.archiveKey(ctx, a) },
			make:   func(_ context.Context, to string) error { return b.writeArchive(a, to) },
		})
	}
	return steps
}

// archiveKey combines the keys of the artefacts that the archive contains. Reading the files themselves would add
// seconds to every start.
func (b *Builder) archiveKey(_ context.Context, a archive) (string, error) {
	parts := []string{"images 2"}
	var paths []string
	for _, r := range a.recipes {
		parts = append(parts, fmt.Sprintf("%+v", r))
		for _, target := range slices.Sorted(maps.Keys(r.files)) {
			from := r.files[target]
			if program, ok := strings.CutPrefix(from, programs); ok {
				parts = append(parts, b.readStamp(program))
			} else {
				paths = append(paths, filepath.Join(b.sources, from))
			}
		}
		if r.base {
			parts = append(parts, b.readStamp(b.rootfs().name))
		}
	}
	return hash(parts, paths...)
}

func (b *Builder) readStamp(of string) string {
	text, err := os.ReadFile(b.stamp(step{name: of}))
	if err != nil {
		return "not built yet"
	}
	return string(text)
}

func (b *Builder) writeArchive(a archive, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	var base registryv1.Layer
	if slices.ContainsFunc(a.recipes, func(r recipe) bool { return r.base }) {
		file := filepath.Join(to, "base.tar")
		defer os.Remove(file)
		if err := writeTree(file, b.Rootfs); err != nil {
			return err
		}
		var err error
		if base, err = layerOf(func() (io.ReadCloser, error) { return os.Open(file) }); err != nil {
			return err
		}
	}
	set := map[name.Reference]registryv1.Image{}
	var list []Image
	for _, r := range a.recipes {
		var layers []registryv1.Layer
		if r.base {
			layers = append(layers, base)
		}
		if len(r.files) > 0 {
			content, err := b.filesLayer(r.files, b.Bin)
			if err != nil {
				return err
			}
			layer, err := layerOf(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
			if err != nil {
				return err
			}
			layers = append(layers, layer)
		}
		image, err := r.image(runtime.GOARCH, layers...)
		if err != nil {
			return err
		}
		ref, err := name.NewTag(Registry + "/" + r.name)
		if err != nil {
			return err
		}
		id, err := image.ConfigName()
		if err != nil {
			return err
		}
		set[ref] = image
		list = append(list, Image{Name: ref.Name(), Tarball: "images.tar", ID: id.String()})
	}
	if err := tarball.MultiRefWriteToFile(filepath.Join(to, "images.tar"), set); err != nil {
		return err
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "images.json"), append(text, '\n'), 0o644)
}

// image returns an image of layers for an architecture, with the recipe's configuration and without times.
func (r recipe) image(arch string, layers ...registryv1.Layer) (registryv1.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", r.name, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", r.name, err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Config = arch, "linux", r.config()
	config.Created = registryv1.Time{Time: time.Unix(0, 0).UTC()}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("image %s: %w", r.name, err)
	}
	return image, nil
}

// layerOf returns an uncompressed layer. It is read from local disk, and every first start would have to unpack it.
func layerOf(open tarball.Opener) (registryv1.Layer, error) {
	return tarball.LayerFromOpener(open, tarball.WithCompression(compression.None),
		tarball.WithMediaType(types.DockerUncompressedLayer))
}

// filesLayer returns a layer of the given files and folders of a recipe, with the programs in the folder bin. Its bytes
// are the same on every machine.
func (b *Builder) filesLayer(files map[string]string, bin string) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, target := range slices.Sorted(maps.Keys(files)) {
		from := filepath.Join(b.sources, files[target])
		if program, ok := strings.CutPrefix(files[target], programs); ok {
			from = filepath.Join(bin, program)
		}
		err := filepath.WalkDir(from, func(p string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(from, p)
			if err != nil {
				return err
			}
			header := &tar.Header{
				Name: strings.TrimPrefix(path.Join(target, filepath.ToSlash(rel)), "/"), Mode: 0o755,
				ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
			}
			if entry.IsDir() {
				header.Typeflag = tar.TypeDir
				header.Name += "/"
				return w.WriteHeader(header)
			}
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
			if err := w.WriteHeader(header); err != nil {
				return err
			}
			_, err = w.Write(content)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// writeTree writes a root file system as a tar file: sorted, without times, devices or sockets, and owned by root.
func writeTree(file, root string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	err = filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() && !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
			return nil
		}
		var link string
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Name = filepath.ToSlash(rel)
		if info.IsDir() {
			header.Name += "/"
		}
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		header.ModTime, header.AccessTime, header.ChangeTime, header.Format = time.Unix(0, 0), time.Time{}, time.Time{},
			tar.FormatPAX
		if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		in, err := os.Open(p)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}
